"""The grades of many replies as arrays, and the figures made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import LOSS, REFERENCE_LOSS, Measure

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grades:
    """The grades of one contender's N replies, each field an array of length N."""

    loss: Floats
    valid: Bools
    numbers: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.loss)

    @classmethod
    def of(cls, graded: Sequence[Graded], reference: Sequence[Graded]) -> "Grades":
        """Collect grades; an invalid reply counts as the reference's, judged on the same example.

        So refusing to answer scores exactly as knowing nothing does: it does not hide a bad reply, nor is it punished
        twice, since `valid` reports the share of readable replies.

        Raises:
            DataError: there are no grades, not as many as the reference has, or a loss is no number from 0 to 1.
        """
        if not graded or len(graded) != len(reference):
            raise DataError(f"{len(graded)} replies for {len(reference)} examples: judge every example once, in order")
        counted = [one if one.valid else stand_in for one, stand_in in zip(graded, reference, strict=True)]
        loss = np.array([one.loss for one in counted], dtype=np.float64)
        wrong = ~((loss >= 0) & (loss <= 1))
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(f"the loss of reply {at} is {loss[at]}: a domain's losses lie between 0 and 1")
        numbers = {name: np.array([one.numbers[name] for one in counted]) for name in counted[0].numbers}
        numbers[REFERENCE_LOSS] = np.array([one.loss for one in reference])
        return cls(loss, np.array([one.valid for one in graded], dtype=np.bool_), numbers)

    def values(self, name: str) -> Floats:
        return self.loss if name == LOSS else self.numbers[name]

    def figure(self, measure: Measure) -> float:
        """A measure's figure."""
        if measure.compute is not None:
            return measure.compute(self)
        mean = self.values(measure.of).mean()
        return float(mean if measure.saved_of is None else saved(mean, self.values(measure.saved_of).mean()))


def saved(loss: Floats | np.floating, reference: Floats | np.floating) -> Floats:
    """The skill: the share of the reference's loss that is saved (Murphy 1988); 0 where the reference loses nothing."""
    loses = np.asarray(reference > 0)
    return 1 - np.divide(loss, reference, out=np.ones(loses.shape), where=loses)
