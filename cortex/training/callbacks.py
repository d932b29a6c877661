"""What the kit adds to any Hugging Face Trainer: it tells of its steps and saves, and leaves in time when asked to."""

import faulthandler
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cortex.errors import ConfigError, PreemptedError
from cortex.training.events import (
    LEAVE_VARIABLE,
    Failed,
    Progressed,
    Saved,
    Saving,
    Started,
    Stepped,
    Waiting,
    emit,
)

QUEUE = 2
"""Saved checkpoints that may wait to be committed, before the trainer waits, too."""

FULL_DISK_SECONDS = 600.0
"""How long a trainer waits for room for its next checkpoint."""

_WATCHED = ("loss", "reward", "grad_norm", "learning_rate", "entropy")


class KitCallback(TrainerCallback):
    """One for each process of a trainer."""

    def __init__(self, leave: Path | None) -> None:
        self._leave = leave
        self._leaving = False
        self._size = 0
        self._rank = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Asked by this signal, a process that hangs says where.
        faulthandler.register(signal.SIGUSR1, file=sys.stderr.fileno(), all_threads=True)
        self._rank = int(os.environ.get("RANK", "0"))
        emit(Started(rank=self._rank, pid=os.getpid(), step=state.global_step, total=state.max_steps))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if self._rank == 0:
            emit(Stepped(step=state.global_step))
        if state.global_step >= state.max_steps:
            # The model itself comes next. Continued from here, the trainer would make a step too many.
            control.should_save = False
            return control
        if self._asked_to_leave() and state.global_step % rollout_phase(args) == 0:
            control.should_save = self._leaving = True
        if control.should_save:
            self._make_room(Path(args.output_dir or "."))
            if self._rank == 0:
                emit(Saving(step=state.global_step))
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        _barrier()  # every rank's files have to be there
        if self._rank == 0:
            folder = Path(args.output_dir or ".", f"checkpoint-{state.global_step}")
            self._size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            emit(Saved(step=state.global_step))
        if self._leaving:
            sys.exit(PreemptedError.exit_code)

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
                emit(Progressed(step=state.global_step, total=state.max_steps, values=finite))

    def _asked_to_leave(self) -> bool:
        """Whether any rank has seen that it shall leave: all have to do the same at the same step."""
        asked = self._leave is not None and self._leave.exists()
        if not torch.distributed.is_initialized():
            return asked
        seen = torch.tensor([int(asked)], device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
        torch.distributed.all_reduce(seen, op=torch.distributed.ReduceOp.MAX)
        return bool(seen.item())

    def _make_room(self, output: Path) -> None:
        """Wait until few enough checkpoints wait to be committed, and the disk takes one more; else end."""
        if self._rank == 0:
            end, told = time.monotonic() + FULL_DISK_SECONDS, False
            while True:
                waiting = len(list(output.glob("checkpoint-*")))
                free = shutil.disk_usage(output).free if output.exists() else self._size
                if free >= self._size and waiting < QUEUE:
                    break
                if free < self._size and time.monotonic() > end:
                    reason = f"{output}: {free / 2**30:.1f} GiB free, a checkpoint takes {self._size / 2**30:.1f} GiB"
                    emit(Failed(reason=f"{reason}: give the machine a larger disk_size, or keep fewer checkpoints"))
                    sys.exit(ConfigError.exit_code)
                if not told:
                    room = "for room on the disk" if free < self._size else "for earlier checkpoints"
                    emit(Waiting(reason=room))
                    told = True
                time.sleep(0.05)
        _barrier()


def rollout_phase(args: TrainingArguments) -> int:
    """Optimizer steps that share one batch of rollouts, which no checkpoint holds; 1 for trainers other than GRPO's."""
    generated = getattr(args, "steps_per_generation", None)
    if generated is None:
        return 1
    return math.lcm(generated * getattr(args, "num_iterations", 1), args.gradient_accumulation_steps) // (
        args.gradient_accumulation_steps
    )


def kit_callbacks() -> list[TrainerCallback]:
    """What a trainer that the kit started is given."""
    leave = os.environ.get(LEAVE_VARIABLE)
    return [KitCallback(Path(leave) if leave else None)]


def _barrier() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
