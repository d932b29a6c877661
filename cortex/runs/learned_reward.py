"""Records of a learned reward and of the truth beside it: how often a reward model is right, and a GRPO's validations.

They are files of the artifacts of `reward_model` and `grpo`, which the evaluation reads.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

HELD_OUT = "held_out.json"
"""The file of `HeldOutPairs` in a reward model's artifact."""

VALIDATIONS = "validations.json"
"""The file of `Validations` in GRPO's artifact."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeldOutPairs(_Record):
    """A reward model on pairs that it was not trained on; a 95% interval of the share that it orders right."""

    pairs: int
    right: int
    low: float
    high: float

    @property
    def words(self) -> str:
        return (
            f"the reward model orders {self.right / self.pairs:.1%} of {self.pairs} held-out pairs right "
            f"(95% interval {self.low:.1%} to {self.high:.1%})"
        )


class Misled(_Record):
    """The reward rose while the truth fell, both beyond chance, between two validations on the same prompts."""

    since: int
    step: int
    """The validated steps that are compared."""
    reward_before: float
    reward_after: float
    truth_before: float
    truth_after: float
    """Mean rewards, and mean truths: 1 less the loss of the domain's grade."""

    @property
    def words(self) -> str:
        return (
            f"from step {self.since} to step {self.step} the reward rose from {self.reward_before:.3f} to "
            f"{self.reward_after:.3f} while the truth fell from {self.truth_before:.3f} to {self.truth_after:.3f}"
        )


class Validation(_Record):
    """One validation's mean reward and truth."""

    step: int
    reward: float
    truth: float


class Validations(_Record):
    """All validations of a training, the step whose weights are its model, and where the reward misled it."""

    steps: int
    """Steps that were made."""
    chosen: int
    validations: Sequence[Validation]
    misled: Misled | None = None


def reward_sentences(reward_model: Path | None, grpo: Path | None) -> list[str]:
    """Sentences for a verdict, from the artifacts of a run: the learned reward's accuracy, and if it misled GRPO."""
    sentences: list[str] = []
    if reward_model:
        found = HeldOutPairs.model_validate_json((reward_model / HELD_OUT).read_text(encoding="utf-8"))
        sentences.append(f"Its reward was learned: {found.words}.")
    if grpo and (grpo / VALIDATIONS).is_file():
        made = Validations.model_validate_json((grpo / VALIDATIONS).read_text(encoding="utf-8"))
        if made.misled:
            sentences.append(
                f"In GRPO, {made.misled.words}: stopped at step {made.steps}, released the weights of step "
                f"{made.chosen}."
            )
    return sentences
