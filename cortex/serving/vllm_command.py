"""The command that serves a folder of weights with vLLM on this machine, and the refusal of what vLLM cannot run."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from cortex.errors import ConfigError
from cortex.limits import CONFIG_BYTES, read_file
from cortex.local.environments import cpu_lock, environment, on_path
from cortex.models.adapter_fit import adapter_rank
from cortex.models.model_files import is_adapter
from cortex.serving.engine import EngineCommand
from cortex.settings import Settings

CPU_IMAGE = "vllm-cpu"
"""The environment with vLLM's release for CPUs."""

_PROCESSOR = Path("/proc/cpuinfo")

_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM's kernels for adapters come in (`vllm.config.lora.MaxLoRARanks`)."""

_NONE: Mapping[str, Path] = {}


def vllm_command(
    weights: Path,
    name: str,
    port: int,
    settings: Settings,
    *,
    gpus: int,
    max_tokens: int,
    adapters: Mapping[str, Path] = _NONE,
) -> EngineCommand:
    """The command that serves `weights` as the model `name`, with vLLM on so many GPUs, or on the CPU.

    Answers end after `max_tokens`, or where the model's context does. `adapters` are folders of LoRA adapters of these
    weights, by the names of the models that they make of them.

    Raises:
        ConfigError: this machine cannot run these weights, or has no vLLM.
    """
    refuse_unfit(weights, gpus=gpus)
    further = _adapter_words(adapters)
    python, variables = _vllm(settings, gpus)
    words = [
        *(python, "-m", "vllm.entrypoints.cli.main", "serve", str(weights), "--served-model-name", name),
        *("--host", "127.0.0.1", "--port", str(port), "--disable-uvicorn-access-log"),
        *("--override-generation-config", json.dumps({"max_new_tokens": max_tokens})),
    ]
    if gpus:
        words += ["--tensor-parallel-size", str(gpus)]
    else:
        # Compiling takes a CPU longer than many answers.
        words += ["--dtype", "float32", "--enforce-eager"]
    return EngineCommand((*words, *further), variables)


def _adapter_words(adapters: Mapping[str, Path]) -> list[str]:
    """Words that let vLLM hold all adapters at once, so that requests to different ones are computed together."""
    if not adapters:
        return []
    largest = max(adapter_rank(folder) for folder in adapters.values())
    size = next((size for size in _RANKS if size >= largest), None)
    if size is None:
        raise ConfigError(
            f"{', '.join(adapters)}: the largest rank is {largest}, and vLLM takes up to {_RANKS[-1]}: serve the copy "
            "`model` of that one"
        )
    modules = [json.dumps({"name": name, "path": str(folder)}) for name, folder in adapters.items()]
    limits = ["--max-loras", str(len(adapters)), "--max-lora-rank", str(size)]
    return ["--enable-lora", *limits, "--lora-modules", *modules]


def refuse_unfit(weights: Path, *, gpus: int) -> None:
    """Refuse weights that this machine cannot run, which an engine would find out at its first request.

    Raises:
        ConfigError: the reason, and what runs here.
    """
    if is_adapter(weights):
        raise ConfigError(f"{weights} holds an adapter alone: serve it by a routes file, or the copy `model`")
    method = _quantization(weights)
    if method is None or gpus:
        return
    missing = sorted({"avx512f", "avx512bw", "avx512vl"} - _processor_flags())
    if missing:
        raise ConfigError(
            f"{weights.name} is quantized ({method}), and this processor lacks {', '.join(missing)}, which vLLM's "
            "kernels for it need: serve the copy `model` here, or this one on a GPU"
        )


def _quantization(weights: Path) -> str | None:
    try:
        config = json.loads(read_file(weights / "config.json", CONFIG_BYTES))
    except FileNotFoundError as error:
        raise ConfigError(f"{weights} holds no config.json, so no model that vLLM could load") from error
    except ValueError as error:
        raise ConfigError(f"{weights / 'config.json'} is no JSON: download the release again") from error
    section = config.get("quantization_config") if isinstance(config, dict) else None
    return None if section is None else str(section.get("quant_method", "unknown"))


def _processor_flags() -> set[str]:
    lines = _PROCESSOR.read_text(encoding="utf-8").splitlines() if _PROCESSOR.exists() else []
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def _vllm(settings: Settings, gpus: int) -> tuple[str, dict[str, str]]:
    """An interpreter that has vLLM, and its environment."""
    own = {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    if find_spec("vllm"):
        return sys.executable, {**os.environ, **own}
    if gpus:
        raise ConfigError("this environment has no vLLM for GPUs: run it in the image cortex-serve")
    folder = environment(CPU_IMAGE, settings)
    variables = {**os.environ, **on_path(folder), **own}
    variables["PYTHONPATH"] = f"{variables['PYTHONPATH']}{os.pathsep}{_named_vllm()}"
    # By default, vLLM on a CPU takes much of the machine's memory for its cache, and binds its threads to cores.
    variables |= {"VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1")}
    variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_USE_FLASHINFER_SAMPLER": "0"}
    return str(folder / "bin" / "python"), variables


def _named_vllm() -> Path:
    """A folder with the version of `vllm`, for which vLLM asks; its release for CPUs is called `vllm-cpu`."""
    lines = cpu_lock(CPU_IMAGE).read_text(encoding="utf-8").splitlines()
    locked = next(line for line in lines if line.startswith("vllm-cpu=="))
    release = locked.split("==")[1].split()[0]
    folder = Path(tempfile.gettempdir(), f"cortex-vllm-{release}-{os.getuid()}")
    described = folder / f"vllm-{release}+cpu.dist-info"
    described.mkdir(parents=True, exist_ok=True)
    (described / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: vllm\nVersion: {release}+cpu\n", encoding="utf-8"
    )
    return folder
