"""What judging one reply gives, and many of them as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Graded:
    """One reply, judged against the truth."""

    loss: float
    """0 to 1: what models, quantized copies and baselines are compared by, and the best checkpoint has least of."""
    valid: bool
    """The reply could be read."""
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What GRPO may pay for or punish, each 0 to 1, before any is weighed."""
    measures: Mapping[str, float] = field(default_factory=dict[str, float])
    """Further numbers, which the domain's measures are means of."""


@dataclass(frozen=True, eq=False)
class Grades:
    """The grades of one forecaster's N replies, each field an array of length N."""

    loss: Floats
    valid: Bools
    measures: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.loss)

    @classmethod
    def of(cls, graded: Sequence[Graded], names: Sequence[str]) -> "Grades":
        """Collect grades, with the measures of these names."""
        return cls(
            np.array([one.loss for one in graded], dtype=np.float64),
            np.array([one.valid for one in graded], dtype=np.bool_),
            {name: np.array([one.measures.get(name, np.nan) for one in graded]) for name in names},
        )

    def with_stand_ins(self, reference: "Grades") -> "Grades":
        """The same, but that each invalid reply counts as the reference's.

        A refusal scores exactly what knowing nothing scores: it neither hides a bad reply behind a missing one, nor is
        it punished twice, since `valid` keeps the share of replies that were read.
        """
        return Grades(
            np.where(self.valid, self.loss, reference.loss),
            self.valid,
            {
                name: np.where(self.valid, values, reference.measures[name])
                for name, values in self.measures.items()
            },
        )
