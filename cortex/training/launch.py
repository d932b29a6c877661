"""Starting a trainer as a program of its own, and reading its progress from what it prints."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cortex.errors import PreemptedError, StageError
from cortex.process import running, thread_variables
from cortex.runs.context import RunContext
from cortex.runs.profile import Profile
from cortex.training.checkpoints import Owner, newest_verified

PROGRESS_MARK = "::progress "
OWNER_VARIABLE = "CORTEX_CHECKPOINT_OWNER"

_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_DISABLED": "true",
    "TRACKIO_DISABLED": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
_ON_CPU = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"}


def run_trainer(context: RunContext, stage: str, command: Sequence[str | Path]) -> None:
    """Run a trainer to its end. Its lines go to the log; its progress goes to the ledger.

    Raises:
        PreemptedError: it stopped for a preemption, with its progress saved.
        StageError: it failed.
    """
    owner = _owner(context, stage)
    environment = trainer_environment(context.profile) | {OWNER_VARIABLE: json.dumps(asdict(owner))}
    with running(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            # a progress bar, which ends no line, may stand before the mark
            text, mark, progress = line.partition(PROGRESS_MARK)
            if mark:
                values = json.loads(progress)
                context.progress(int(values.pop("step")), int(values.pop("total")), values)
            sys.stdout.write(text)
        sys.stdout.flush()
        code = process.wait()
    if code == PreemptedError.exit_code:
        raise PreemptedError(f"{stage}: the trainer stopped for a preemption; the same command continues")
    if code:
        raise StageError(f"{stage}: the trainer ({Path(str(command[0])).name}) exited with {code}; its log says why")


def resume_point(context: RunContext, stage: str, checkpoints: Path) -> Path | None:
    """The checkpoint to resume from; each that was quarantined on the way is entered in the ledger."""
    checkpoint, reasons = newest_verified(checkpoints, _owner(context, stage))
    for reason in reasons:
        context.ledger.append("checkpoint_quarantined", stage=stage, reason=reason)
        print(f"quarantined {reason}", flush=True)
    if checkpoint:
        context.ledger.append("resumed", stage=stage, checkpoint=checkpoint.name)
        print(f"resuming from {checkpoint.name}", flush=True)
    return checkpoint


def trainer_environment(profile: Profile) -> dict[str, str]:
    """The variables of trainers: quiet, with a fixed number of threads, offline where nothing is remote."""
    environment = {**os.environ, **_QUIET}
    environment |= {**thread_variables(profile.hardware.threads), "PYTHONHASHSEED": str(profile.seed)}
    if profile.model.base is None or Path(profile.model.base).exists():
        environment |= _OFFLINE
    if profile.hardware.device == "cpu":
        environment |= _ON_CPU
    else:
        environment |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return environment


def distributed(profile: Profile, module: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a trainer module on every GPU of the machine."""
    if profile.hardware.gpus == 1:
        return [sys.executable, "-m", module, *arguments]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={profile.hardware.gpus}"]
    return [sys.executable, *torchrun, "-m", module, *arguments]


def _owner(context: RunContext, stage: str) -> Owner:
    return Owner(run=context.run, stage=stage, profile=context.profile.digest)
