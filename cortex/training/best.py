"""Which weights a trainer that ends makes the model: those of the best validation, brought back from its checkpoint."""

import time
from pathlib import Path

from transformers import Trainer

from cortex.artifacts.manifest import MANIFEST
from cortex.training.events import Chosen, Waiting, emit
from cortex.training.parts import Parts
from cortex.training.ranks import barrier, highest
from cortex.training.rules import TrainingRules

COMMIT_SECONDS = 600.0
"""How long a checkpoint that is still being committed is waited for."""


HANDED_OUT = "best"
"""The folder, in a trainer's own, of what the first of several machines has given this one to load."""


def return_to_best(trainer: Trainer, rules: TrainingRules, rank: int, parts: Parts) -> None:
    """Load the weights of the best validated step, where they are not the trainer's own by now. All ranks call it.

    They come from a committed checkpoint alone, of which every byte was right when it was committed, or resumed from. A
    better one that was lost is passed over; the supervisor has said so. It loads as a resumed training does, so that it
    works for adapters and sharded weights, too. Of several machines the first has it, and hands it to the others.
    Without any validation the last weights stay.
    """
    if rules.validate_steps is None:
        return
    step = highest(_best(trainer, rules) if rank == 0 else -1)
    if step < trainer.state.global_step:
        barrier()
        model = trainer.model_wrapped if trainer.is_fsdp_enabled else trainer.model
        copy = Path(trainer.args.output_dir or ".", HANDED_OUT)
        trainer._load_from_checkpoint(str(parts.hand_out(Path(rules.committed, str(step)), copy)), model)


def _best(trainer: Trainer, rules: TrainingRules) -> int:
    """The step of the weights to release; told to the supervisor."""
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
    while saving.exists() and time.monotonic() < end:  # the committer takes it away by one rename
        time.sleep(0.05)
    return Path(rules.committed, str(step), MANIFEST).is_file()
