"""Measures of a model, and the words for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LOSS = "loss"
REFERENCE_LOSS = "reference loss"
"""The number of a grade that is the reference baseline's loss on the same example."""


@dataclass(frozen=True)
class Measure:
    """One figure: the mean of a number over the examples, or the share of another number's mean that is saved."""

    name: str
    title: str
    """Title of the measure's column in a table."""
    of: str = LOSS
    """The number of each grade whose mean it is."""
    saved_of: str | None = None
    """If given, the figure is 1 - mean(of) / mean(saved_of)."""
    form: str = ".3f"
    bounds: tuple[float, float] = (0.0, 1.0)
    """Range of the figure; its interval stays within."""
    compute: Callable[[Any], float] | None = None
    """If given, it computes the figure from a contender's `Grades`, in place of a mean; there is no interval then."""
    has_interval: bool = True
    on_card: bool = True
    """Shown in the model card, too, and not only on the page."""


@dataclass(frozen=True)
class Scale:
    """A domain's names for its losses, and the baselines that they are compared with."""

    loss: str
    """Name of the loss, such as "Brier score"."""
    skill: str
    """Name of the skill, such as "Brier skill": the share of the reference's loss that is saved."""
    clusters: str
    """Name of the groups of examples that are right or wrong together, such as "decision dates"."""
    reference: str
    """The baseline that skill is measured against, and that an invalid reply counts as."""
    rivals: tuple[str, ...] = ()
    """Further baselines that the verdict compares a model with."""
    replies: str = "answers"
    """Name of a model's replies, in the plural."""
    worth: float = 0.02
    """The least skill worth having: a test that would miss it too often tells nothing where it shows nothing."""

    @property
    def skill_measure(self) -> Measure:
        return Measure("skill", self.skill, saved_of=REFERENCE_LOSS, form="+z.3f", bounds=(-float("inf"), 1.0))
