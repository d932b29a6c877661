"""Loading the best validated weights at the end of a training, from their checkpoint."""

import time
from pathlib import Path

from transformers import Trainer

from cortex.artifacts.manifest import MANIFEST
from cortex.checkpoints.rules import TrainingRules
from cortex.runs.trainer_events import Chosen, Waiting, emit
from cortex.trainers.parts import Parts
from cortex.trainers.ranks import barrier, highest

COMMIT_SECONDS = 600.0
"""Seconds to wait for a checkpoint that is still being committed."""


HANDED_OUT = "best"
"""Folder, inside the trainer's own, of the checkpoint that the first of several machines sent to this one."""


def return_to_best(trainer: Trainer, rules: TrainingRules, rank: int, parts: Parts) -> None:
    """Load the weights of the best validated step, unless the trainer holds them already. All ranks call it.

    Only a committed checkpoint is loaded, which was verified when it was committed or resumed from. If a better one was
    lost, the next best is taken; the supervisor has reported the loss. It is loaded as a resumed training loads it, so
    adapters and sharded weights work, too. With several machines, the first one holds it, and sends it to the others.
    Without any validation the last weights stay.
    """
    if rules.validate_steps is None:
        return
    step = highest(_best(trainer, rules) if rank == 0 else -1)
    trainer.state.best_global_step = step
    if step < trainer.state.global_step:
        barrier()
        model = trainer.model_wrapped if trainer.is_fsdp_enabled else trainer.model
        copy = Path(trainer.args.output_dir or ".", HANDED_OUT)
        trainer._load_from_checkpoint(str(parts.hand_out(Path(rules.committed, str(step)), copy)), model)


def _best(trainer: Trainer, rules: TrainingRules) -> int:
    """The step of the weights to release, which the supervisor is told, too."""
    last = trainer.state.global_step
    for step, loss in rules.ranked(trainer.state.log_history):
        if step == last or _is_committed(trainer, rules, step):
            emit(Chosen(step=step, score=-loss))
            return step
    return last


def _is_committed(trainer: Trainer, rules: TrainingRules, step: int) -> bool:
    saving = Path(trainer.args.output_dir or ".", f"checkpoint-{step}")
    end = time.monotonic() + COMMIT_SECONDS
    if saving.exists():
        emit(Waiting(reason=f"for checkpoint-{step}, the best, to be committed"))
    while saving.exists() and time.monotonic() < end:  # the committer moves it away by one rename
        time.sleep(0.05)
    return Path(rules.committed, str(step), MANIFEST).is_file()
