"""The claim of certainty by multiplied error rates, against the errors that were measured together.

The product of error rates is the probability that all members are wrong only where their errors are independent. Those
of forecasters of one market are not: they see the same data, and miss the same surprises.
"""

from dataclasses import dataclass

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError
from cortex.domains.markets.outcomes import rise
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Bools, Floats

AGREED = 30
"""Dates on which all members agree, at least."""


@dataclass(frozen=True)
class JointError:
    """Errors of K members about the direction: a forecast of one half, or a return of 0, is half an error."""

    errors: dict[str, float]
    """Share of wrong directions of each member."""
    product: float
    """Their product: the claimed probability that all are wrong."""
    all_wrong: float
    """The measured share of forecasts of which all members are wrong."""
    all_wrong_interval: Interval
    claimed: float
    """Error where all agree, if errors were independent: product / (product + product of the hit rates)."""
    agreed: float
    """Share of forecasts on which all members agree."""
    measured: float
    """Measured error where all agree."""
    measured_interval: Interval
    correlation: float
    """Mean correlation of two members' errors."""

    @property
    def independent(self) -> float:
        """Number of independent members that would be worth as much (Kish 1965, "Survey sampling")."""
        count = len(self.errors)
        return count / (1 + (count - 1) * max(0.0, self.correlation))

    @property
    def is_refuted(self) -> bool:
        return self.measured_interval.low > self.claimed or self.all_wrong_interval.low > self.product


def measure_joint_error(rivals: dict[str, Case], resamples: Resamples) -> JointError:
    """Measure the errors of members that state different directions, together.

    Raises:
        CannotTellError: fewer than two members, or they agree on too few dates.
    """
    members = {name: case for name, case in rivals.items() if len(np.unique(np.sign(case.p_up - 0.5))) > 1}
    if len(members) < 2:
        raise CannotTellError(f"{len(members)} contender states both directions, and 2 are needed")
    wrong = np.array([_wrong(case) for case in members.values()])
    sides = np.array([np.sign(case.p_up - 0.5) for case in members.values()])
    agree: Bools = (sides == sides[0]).all(axis=0) & (sides[0] != 0)
    dates = len(np.unique(resamples.cluster[agree]))
    if dates < AGREED:
        raise CannotTellError(f"all {len(members)} contenders agree on {dates} dates, and {AGREED} are needed")
    every = wrong.min(axis=0)
    errors = wrong.mean(axis=1)
    product, hits = float(errors.prod()), float((1 - errors).prod())
    all_wrong, measured = float(every.mean()), float(wrong[0][agree].mean())
    share = resamples.means(agree.astype(np.float64))
    replicates = resamples.means(np.where(agree, wrong[0], 0.0))[share > 0] / share[share > 0]
    return JointError(
        dict(zip(members, errors.tolist(), strict=True)),
        product,
        all_wrong,
        resamples.interval(all_wrong, resamples.means(every), (0, 1)),
        product / (product + hits),
        float(agree.mean()),
        measured,
        resamples.interval(measured, replicates, (0, 1)),
        _correlation(wrong),
    )


def _wrong(case: Case) -> Floats:
    up, side = rise(case.market.outcome), np.sign(case.p_up - 0.5)
    return np.where(side == 0, 0.5, np.abs(up - (side > 0)))


def _correlation(wrong: Floats) -> float:
    """The mean correlation of two rows, of those that vary."""
    varying = wrong[wrong.std(axis=1) > 0]
    if len(varying) < 2:
        return 1.0
    matrix = np.asarray(np.corrcoef(varying))
    return float(matrix[np.triu_indices(len(varying), 1)].mean())
