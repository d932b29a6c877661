"""Callbacks for any Hugging Face Trainer: they report steps and saves, and end the training in time when asked to."""

import faulthandler
import math
import os
import random
import shutil
import signal
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from cortex.checkpoints.rules import EVAL, TrainingRules
from cortex.errors import ConfigError, PreemptedError
from cortex.runs.trainer_events import (
    LEAVE_VARIABLE,
    RESERVED,
    Failed,
    Left,
    MisledBy,
    Saved,
    Saving,
    Started,
    Stepped,
    Stopped,
    Validated,
    Validating,
    Waiting,
    emit,
    measured,
)
from cortex.trainers.best import return_to_best
from cortex.trainers.parts import Parts
from cortex.trainers.ranks import barrier, highest, leave

QUEUE = 2
"""Number of saved checkpoints that may wait to be committed before the trainer waits for them."""

FULL_DISK_SECONDS = 600.0
"""Seconds that a trainer waits for room for its next checkpoint."""


class _Next(IntEnum):
    """Action after a step. Ranks agree on the highest value that any of them wants."""

    GO_ON = 0
    SAVE_AND_LEAVE = 1
    STOP = 2
    FAIL = 3


class KitCallback(TrainerCallback):
    """Callback of one process of a trainer: reports to the supervisor, and ends the training when asked to."""

    def __init__(self, trainer: Trainer, leave: Path | None, rules: TrainingRules) -> None:
        self._trainer, self._leave, self._rules = trainer, leave, rules
        self._leaving = False
        self._stopped = False
        self._size = 0
        self._rank = 0
        self._random: dict[str, Any] | None = None
        """The state of all random generators before the validation under way."""

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Axolotl would validate at the start of each attempt, although a resumed one was validated before.
        args.eval_on_start = self._rules.validate_start and state.global_step == 0
        # On this signal a process that hangs prints its stacks.
        faulthandler.register(signal.SIGUSR1, file=sys.stderr.fileno(), all_threads=True)
        self._rank = int(os.environ.get("RANK", "0"))
        self._parts = Parts()
        emit(Started(rank=self._rank, pid=os.getpid(), step=state.global_step, total=state.max_steps))
        if args.eval_on_start:
            self._begin_validation(args, state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if self._rank == 0:
            emit(Stepped(step=state.global_step))
        last = state.global_step >= state.max_steps
        if last:
            # The model itself is saved next. A trainer resumed from a checkpoint of this step would make one more step.
            control.should_save = False
        else:
            self._go_on_or_not(args, state, control)
        if not self._stopped and self._rules.validates(state.global_step, state.max_steps):
            control.should_evaluate = True
            self._begin_validation(args, state)
        if control.should_save:
            self._make_room(Path(args.output_dir or "."))
            if not control.should_evaluate:
                self._tell(Saving(step=state.global_step))
        return control

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if self._random is not None:
            _restore_random_states(self._random)
            self._random = None
        values = _numbers(metrics or {})
        loss = values.get(self._rules.metric)
        plain = {name.removeprefix(EVAL): value for name, value in values.items()}
        self._tell(Validated(step=state.global_step, score=None if loss is None else -loss, values=plain))
        if control.should_save:
            self._tell(Saving(step=state.global_step))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(args.output_dir or ".", f"checkpoint-{state.global_step}")
        barrier()  # every rank's files have to be there
        self._parts.gather(folder)
        if self._rank == 0:
            self._size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            emit(Saved(step=state.global_step))
        if self._leaving:
            if self._rank == 0:
                emit(Left(step=state.global_step))
            leave(PreemptedError.exit_code)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        if not state.is_world_process_zero or not logs or not state.global_step:
            return
        if any(name.startswith(EVAL) for name in logs):
            return  # `on_evaluate` reports it
        for event in measured(state.global_step, state.max_steps, _numbers(logs) | _gpu_memory()):
            emit(event)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        return_to_best(self._trainer, self._rules, self._rank, self._parts)
        if found := self._rules.misled(state.log_history):
            self._tell(MisledBy(**found.model_dump()))

    def _go_on_or_not(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        """Save and leave, or stop, where any rank has a reason to: all ranks must do so at the same step."""
        reason, wanted = None, _Next.GO_ON
        if self._leave is not None and self._leave.exists():
            wanted = _Next.SAVE_AND_LEAVE
        if self._rank == 0:
            collapsed = self._rules.collapsed(state.log_history)
            reason = collapsed or self._rules.out_of_patience(state.log_history)
            if reason:
                saved = any(step > 0 for step, _ in self._rules.ranked(state.log_history))
                wanted = _Next.STOP if saved else _Next.FAIL
        wanted = highest(wanted)
        if wanted == _Next.SAVE_AND_LEAVE and state.global_step % rollout_phase(args) == 0:
            control.should_save = self._leaving = True
        elif wanted in (_Next.STOP, _Next.FAIL):
            # A checkpoint of this step would only be resumed to make this decision once more.
            control.should_save, control.should_training_stop, self._stopped = False, True, True
            if reason:
                emit(Stopped(step=state.global_step, reason=reason))
        if wanted == _Next.FAIL:
            if reason:
                emit(
                    Failed(
                        reason=f"it collapsed by step {state.global_step}: {reason}; no validation came before, so "
                        "there is no checkpoint to release: lower learning_rate, validate more often "
                        "(validate_steps), or loosen or remove collapse in the profile"
                    )
                )
            leave(ConfigError.exit_code)

    def _begin_validation(self, args: TrainingArguments, state: TrainerState) -> None:
        """Seed each validation alike, and keep the training's random states so that it does not change them."""
        self._tell(Validating(step=state.global_step))
        self._random = _random_states()
        set_seed(args.seed + self._rank // ranks_of_one_engine(args))

    def _tell(self, event: Any) -> None:
        if self._rank == 0:
            emit(event)

    def _make_room(self, output: Path) -> None:
        """Wait until the queue of uncommitted checkpoints and the disk have room for one more; fail after a while."""
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
        barrier()


def rollout_phase(args: TrainingArguments) -> int:
    """Optimizer steps that share one batch of rollouts (no checkpoint holds rollouts); 1 for trainers but GRPO's."""
    generated = getattr(args, "steps_per_generation", None)
    if generated is None:
        return 1
    return math.lcm(generated * getattr(args, "num_iterations", 1), args.gradient_accumulation_steps) // (
        args.gradient_accumulation_steps
    )


def ranks_of_one_engine(args: TrainingArguments) -> int:
    """Number of processes among which vLLM divides one model.

    Their engines do not talk about what they draw: each samples every answer itself, so their random states have to be
    equal. A process that drew another token would wait for collectives that the others never enter.
    """
    return args.vllm_tensor_parallel_size if getattr(args, "use_vllm", False) else 1  # pyright: ignore


def name_cpu_plainly(args: TrainingArguments) -> None:
    """Name the device `cpu` without a rank's number, with which torch.load fails when several processes resume."""
    if args.device.type == "cpu":
        args._setup_devices = torch.device("cpu")  # pyright: ignore[reportPrivateUsage]


def kit_callbacks(trainer: Trainer) -> list[TrainerCallback]:
    """The callbacks for a trainer that the kit started."""
    name_cpu_plainly(trainer.args)
    leave = os.environ.get(LEAVE_VARIABLE)
    return [KitCallback(trainer, Path(leave) if leave else None, TrainingRules.given())]


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    """All finite measurements by name; `not_finite` counts the others, which a ledger cannot hold."""
    values = {
        name: float(value)
        for name, value in logs.items()
        if isinstance(value, int | float | np.number) and name not in RESERVED and name.isascii() and " " not in name
    }
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    return finite if len(finite) == len(values) else finite | {"not_finite": float(len(values) - len(finite))}


def _gpu_memory() -> dict[str, float]:
    if not torch.cuda.is_available():
        return {}
    return {
        "gpu/peak_allocated_gib": torch.cuda.max_memory_allocated() / 2**30,
        "gpu/reserved_gib": torch.cuda.memory_reserved() / 2**30,
    }


def _random_states() -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None,
    }


def _restore_random_states(states: dict[str, Any]) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["cpu"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state_all(states["cuda"])
