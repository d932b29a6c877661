"""What is told of a model: measures, and the words for them."""

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
    """For the head of a column."""
    of: str = LOSS
    """The number of each grade whose mean it is."""
    saved_of: str | None = None
    """If given, the figure is 1 - mean(of) / mean(saved_of)."""
    form: str = ".3f"
    bounds: tuple[float, float] = (0.0, 1.0)
    """What the figure can be; its interval stays within."""
    compute: Callable[[Any], float] | None = None
    """If given, the figure is what this makes of a contender's `Grades`, in place of a mean; without an interval."""
    has_interval: bool = True
    on_card: bool = True
    """It stands in the model card, too, and not on the page alone."""


@dataclass(frozen=True)
class Scale:
    """How losses of a domain are called, and what they are compared with."""

    loss: str
    """Such as "Brier score"."""
    skill: str
    """Such as "Brier skill": the share of the reference's loss that is saved."""
    clusters: str
    """What examples are right or wrong together by, in the plural, such as "decision dates"."""
    reference: str
    """The baseline that skill is measured against, and that an invalid reply counts as."""
    rivals: tuple[str, ...] = ()
    """Further baselines that the verdict compares a model with."""
    replies: str = "answers"
    """What a model gives, in the plural."""

    @property
    def skill_measure(self) -> Measure:
        return Measure("skill", self.skill, saved_of=REFERENCE_LOSS, form="+z.3f", bounds=(-float("inf"), 1.0))
