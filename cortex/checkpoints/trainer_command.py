"""Command line and environment variables of a trainer, which runs as a program of its own."""

import importlib.util
import os
import sys
from pathlib import Path

from cortex.errors import ConfigError
from cortex.process import thread_variables
from cortex.profiles.profile import Profile
from cortex.runs.gang import Gang

AXOLOTL = "axolotl.cli.main"
"""Axolotl's command line as a module: its console script names its interpreter in a line that the kernel may cut."""

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_DISABLED": "true",
    "TRACKIO_DISABLED": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # FlashInfer's sampler is compiled on first use by nvcc, which no image has: the engine would fail at its start
    # (github.com/vllm-project/vllm/issues/49497). Without it vLLM samples by its own Triton and PyTorch code.
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_ON_CPU = {
    "CUDA_VISIBLE_DEVICES": "",
    "ACCELERATE_USE_CPU": "true",
    "AXOLOTL_DATASET_NUM_PROC": "0",  # Axolotl takes a configuration's 0 for unset, and then looks here
}


def trainer_environment(profile: Profile, *, online: bool = False) -> dict[str, str]:
    """Variables of trainers: quiet, a fixed number of threads, and, unless the trainer reads a data set of the hub,
    offline, since the base is on this machine."""
    environment = {**os.environ, **_QUIET, **({} if online else OFFLINE)}
    environment |= {**thread_variables(profile.hardware.threads), "PYTHONHASHSEED": str(profile.seed)}
    if profile.hardware.device == "cpu":
        environment |= _ON_CPU
    else:
        environment |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return environment


def distributed(profile: Profile, module: str, *arguments: str | Path, gang: Gang | None = None) -> list[str | Path]:
    """The command that runs a trainer module on every GPU of the machine; with a gang, of all its machines.

    It uses torchrun's static rendezvous. The elastic one (`c10d`) numbers the nodes by their addresses, so that rank 0,
    which saves, might not be on the node that holds the lease; and its purpose, to go on with other nodes, the kit
    serves by its checkpoints.

    Raises:
        ConfigError: the profile shards by ZeRO-3, and DeepSpeed is not installed.
    """
    hardware = profile.hardware
    if (hardware.device, hardware.sharding) == ("cuda", "zero3") and hardware.processes > 1:
        _require_deepspeed()
    if gang is None and profile.hardware.gpus == 1:
        return [sys.executable, "-m", module, *arguments]
    torchrun = ["-m", "torch.distributed.run", f"--nproc-per-node={profile.hardware.gpus}"]
    if gang is None:
        torchrun += ["--standalone"]
    else:
        node = gang.node
        torchrun += [f"--nnodes={node.count}", f"--node-rank={node.rank}"]
        torchrun += [f"--master-addr={node.addresses[0]}", f"--master-port={gang.rendezvous_port}"]
    return [sys.executable, *torchrun, "-m", module, *arguments]


def _require_deepspeed() -> None:
    """Check that DeepSpeed is installed.

    Raises:
        ConfigError: it is not; none of the kit's images has it.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError(
            "hardware.sharding is zero3, and DeepSpeed is not in this image: add `deepspeed<0.19` to "
            "images/sft/requirements.cuda.in and images/grpo/requirements.cuda.in, then `make locks`, `make images` "
            "and `make push`; or use fsdp2"
        )
