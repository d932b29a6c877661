"""A baseline's forecasts of each example, as arrays."""

from dataclasses import dataclass, fields

import numpy as np

from cortex.domains.markets.grading import Forecast, grade_forecast
from cortex.domains.markets.outcomes import rise
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Bools, Floats

ROSE, ROSE_OF_ALL = "rose", "rose of all"
"""Names of the groups of forecasts by what rose: those of a like probability, and all as one."""

INTERVAL_LEVEL = 0.9
"""Share of outcomes that should lie inside the stated return intervals."""


@dataclass(frozen=True)
class Climatology:
    """Training outcomes' statistics, the same for every example: the rate of up, and the interval of 90% of returns.

    Returns are fractions.
    """

    base_rate: float
    low: float
    high: float

    @classmethod
    def of(cls, outcome: Floats) -> "Climatology":
        """Estimate the statistics from the training split's outcomes (N).

        Raises:
            DataError: no outcomes, one that is not finite, or none of them above 0, or none below.
        """
        outcome = checked_outcome(outcome, "training outcome")
        moved = outcome[outcome != 0]
        checked_base_rate(float(rise(moved).mean()) if len(moved) else 0.0)
        low, high = interval_quantiles(outcome)
        return cls(float(rise(outcome).mean()), low, high)


@dataclass(frozen=True, eq=False)
class Forecasts:
    """The forecasts of N examples, each field an array of length N. Returns are fractions."""

    p_up: Floats
    expected_return: Floats
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        if len(set(shapes.values())) != 1 or self.p_up.ndim != 1:
            raise DataError(f"forecasts have shapes {shapes}: give one value per example in every field")
        for name in ("p_up", "expected_return", "low", "high"):
            _refuse(~np.isfinite(getattr(self, name)), getattr(self, name), name, "forecast a number")
        _refuse((self.p_up < 0) | (self.p_up > 1), self.p_up, "p_up", "a probability lies between 0 and 1")
        _refuse(self.low > self.high, self.low, "low", "an interval's low end is not above its high end")

    def __len__(self) -> int:
        return len(self.p_up)

    def graded(self, outcome: Floats) -> list[Graded]:
        """Judge each forecast against its outcome (N, fractions).

        Raises:
            DataError: there are no outcomes, not as many, or one that is not finite.
        """
        outcome = checked_outcome(outcome)
        if len(self) != len(outcome):
            raise DataError(f"{len(self)} forecasts for {len(outcome)} outcomes: forecast every example once, in order")
        rows = zip(self.p_up, self.expected_return, self.low, self.high, outcome, strict=True)
        return [grade_forecast(Forecast(*map(float, stated)), float(happened)) for *stated, happened in rows]


def interval_quantiles(outcome: Floats) -> tuple[float, float]:
    """The ends of the central 90% interval of the outcomes (N)."""
    low, high = np.quantile(outcome, [(1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2])
    return float(low), float(high)


def checked_outcome(outcome: Floats, name: str = "outcome") -> Floats:
    """The outcomes (N, fractions), refused with a DataError when there are none or one is not finite."""
    if outcome.ndim != 1 or not len(outcome):
        raise DataError(f"{name} has shape {outcome.shape}: at least one example is needed; widen the split")
    _refuse(~np.isfinite(outcome), outcome, name, "drop examples without an outcome")
    return outcome


def checked_base_rate(base_rate: float) -> float:
    """Check that a base rate lies strictly between 0 and 1: at 0 or 1, skill is undefined."""
    if not 0 < base_rate < 1:
        raise DataError(f"the training base rate of up is {base_rate}: skill needs outcomes on both sides of 0")
    return base_rate


def _refuse(wrong: Bools, values: Floats, name: str, fix: str) -> None:
    if wrong.any():
        index = int(np.argmax(wrong))
        raise DataError(f"{name} of example {index} is {values[index]}: {fix}")
