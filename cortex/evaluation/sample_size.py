"""Sizes of samples and of skills: the least skill that a test can show, and the clusters that it would take to tell."""

import math
from statistics import NormalDist

from cortex.evaluation.confidence import Interval

LEVEL = 0.95
"""Confidence of an interval."""

POWER = 0.8
"""Share of tests in which a skill that can be told is to show (Cohen 1988, "Statistical Power Analysis", ch. 2)."""

SEEN = (NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(POWER)) ** 2
"""Square of the distance from 0, in standard errors, of a mean that a 95% interval tells from 0 with this power."""


def widen(interval: Interval, estimate: float, blocks: float, share: float) -> Interval:
    """A 95% interval, widened so that it errs in a `share` of the cases in which it errs now.

    Both ends go away from the estimate by the ratio of Student's quantiles with `blocks` - 1 degrees of freedom. The
    tails of R resamples end at 1 / R, far above a hundredth of 2.5%.
    """
    ratio = _reach(blocks, share) / _reach(blocks, 1.0)
    low, high = (estimate + ratio * (end - estimate) for end in (interval.low, interval.high))
    return Interval(low=low, high=high)


def standard_error(interval: Interval, blocks: float) -> float:
    """The standard error of an estimate by its 95% interval."""
    return (interval.high - interval.low) / 2 / _reach(blocks, 1.0)


def least_shown(error: float, blocks: float, share: float) -> float:
    """The least true skill that shows in four tests of five, given the standard error of the measured one."""
    return error * (_reach(blocks, share) + _student(blocks, POWER))


def clusters_needed(least: float, clusters: int, skill: float) -> int:
    """Number of clusters in which a true `skill` above 0 would show in four tests of five, if `clusters` show `least`.

    The variance of a mean falls with the number of clusters, whatever binds neighbouring ones together.
    """
    return math.ceil(clusters * (least / skill) ** 2)


def _reach(blocks: float, share: float) -> float:
    """Standard errors from the estimate to each end of the interval."""
    return _student(blocks, 1 - share * (1 - LEVEL) / 2)


def _student(blocks: float, probability: float) -> float:
    from scipy.special import stdtrit  # verdicts are also read where nothing is judged

    return float(stdtrit(blocks - 1, probability))
