"""What the kit adds to any Hugging Face Trainer: progress for the ledger, and committed checkpoints."""

import json
import math
import os
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cortex.training.checkpoints import Owner, commit
from cortex.training.launch import OWNER_VARIABLE, PROGRESS_MARK

_WATCHED = ("loss", "reward", "grad_norm", "learning_rate", "entropy")


class ProgressCallback(TrainerCallback):
    """Prints each logged step as one line that `launch.run_trainer` reads."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if state.is_world_process_zero and logs and state.global_step:
            values = {name: float(logs[name]) for name in _WATCHED if name in logs}
            finite = {name: value for name, value in values.items() if math.isfinite(value)}
            if finite:
                line = {"step": state.global_step, "total": state.max_steps, **finite}
                print(PROGRESS_MARK + json.dumps(line), flush=True)


class CommitCallback(TrainerCallback):
    """Commits each checkpoint when the trainer has saved it."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()  # every rank's files have to be there before they are hashed
        if state.is_world_process_zero:
            commit(Path(args.output_dir or ".", f"checkpoint-{state.global_step}"), self.owner)


def kit_callbacks() -> list[TrainerCallback]:
    """Both, for the run that the environment names."""
    return [ProgressCallback(), CommitCallback(Owner(**json.loads(os.environ[OWNER_VARIABLE])))]
