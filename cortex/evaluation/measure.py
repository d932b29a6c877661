"""Measures: the figures that are told of a model, each the mean of a number that every grade has."""

from dataclasses import dataclass

import numpy as np

from cortex.evaluation.graded import Floats, Grades

LOSS = "loss"


@dataclass(frozen=True)
class Measure:
    """One figure: the mean of a number over the examples, or what is saved of another number's mean."""

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
    has_interval: bool = True

    def values(self, grades: Grades) -> Floats:
        return grades.loss if self.of == LOSS else grades.measures[self.of]

    def figure(self, grades: Grades) -> float:
        """The figure of N grades."""
        mean = self.values(grades).mean()
        if self.saved_of is None:
            return float(mean)
        return float(saved(mean, grades.measures[self.saved_of].mean()))


def saved(loss: Floats | np.floating, reference: Floats | np.floating) -> Floats:
    """The share of the reference's loss that is saved (Murphy 1988); 0 where the reference loses nothing."""
    loses = np.asarray(reference > 0)
    return 1 - np.divide(loss, reference, out=np.ones(loses.shape), where=loses)
