"""Calibration: comparison of stated probabilities with realised rates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import JsonValue

from cortex.domains.markets.forecasts import ROSE, ROSE_OF_ALL
from cortex.evaluation.grades import Bools, Floats, Grades
from cortex.evaluation.record import Group

if TYPE_CHECKING:
    from cortex.evaluation.bootstrap import Resamples

BINS = 10
P_BINS = 20

RELIABILITY = "reliability"
P_COUNTS = "p_counts"


@dataclass(frozen=True, eq=False)
class Reliability:
    """Data of a reliability diagram: B bins of forecasts, each field an array of length B."""

    mean_p: Floats
    up_rate: Floats
    count: Floats

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean gap between stated and realised rate, each bin by its weight.

        Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning".
        """
        return float(np.average(np.abs(self.mean_p - self.up_rate), weights=self.count))


def reliability(p_up: Floats, up: Floats | Bools, bins: int = BINS) -> Reliability:
    """Group N forecasts into bins of equal mass and compare each bin's mean probability with its rate of up, in which
    no change counts one half.

    Equal probabilities always share a bin, so the order of the examples does not matter; a model that states few
    distinct probabilities fills fewer than `bins`.
    """
    edges = np.quantile(p_up, np.linspace(0, 1, bins + 1)[1:-1])
    bin_of = np.searchsorted(edges, p_up)
    count = np.bincount(bin_of, minlength=bins)
    filled = count > 0
    sums = [np.bincount(bin_of, weights=values, minlength=bins)[filled] for values in (p_up, up)]
    weights = count[filled].astype(np.float64)
    return Reliability(sums[0] / weights, sums[1] / weights, weights)


def calibration_error(grades: Grades) -> float:
    """The expected calibration error of N forecasts over 10 bins of equal mass."""
    return reliability(grades.values("p_up"), grades.values("up")).expected_error


def calibration_details(grades: Grades) -> dict[str, JsonValue]:
    """Data of the page's calibration figures, from the grades of N forecasts."""
    p_up, up = grades.values("p_up"), grades.values("up")
    bins = reliability(p_up, up)
    counts, _ = np.histogram(p_up, bins=P_BINS, range=(0, 1))
    return {
        RELIABILITY: {
            "mean_p": bins.mean_p.tolist(),
            "up_rate": bins.up_rate.tolist(),
            "count": bins.count.astype(int).tolist(),
        },
        P_COUNTS: counts.tolist(),
    }


def uncertainty(p_up: float, details: Mapping[str, JsonValue]) -> float:
    """Uncertainty of a forecast: the Brier score expected of its calibrated probability p, p (1 - p), as a share of a
    coin's. The rate of up that followed such forecasts is p, where `details` are those of `calibration_details`; else
    the stated probability is.
    """
    p = calibrate(p_up, details[RELIABILITY]) if RELIABILITY in details else p_up
    return 4 * p * (1 - p)


def calibrate(p_up: float, bins: Any) -> float:
    """The rate of up that followed forecasts like this one, by the bins of a reliability diagram.

    Rates fall nowhere as forecasts rise: bins that do are pooled (Ayer et al. 1955, "An empirical distribution function
    for sampling with incomplete information"). Between the bins' means the rate is linear, outside of them constant.
    """
    pools: list[list[float]] = []  # rate, weight, bins
    for rate, weight in zip(bins["up_rate"], bins["count"], strict=True):
        pools.append([rate, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (low, first, before), (high, second, after) = pools[-2:]
            pools[-2:] = [[(low * first + high * second) / (first + second), first + second, before + after]]
    rates = [rate for rate, _, count in pools for _ in range(int(count))]
    return float(np.interp(p_up, bins["mean_p"], rates))


GROUP_EXAMPLES = 60
"""Least forecasts of a group, where there are as many: an interval of its share is then a quarter wide at most."""


def rise_groups(grades: Grades, resamples: "Resamples") -> dict[str, list[Group]]:
    """Readable forecasts by their stated probability, in groups of equal size, and all of them as one group."""
    from cortex.evaluation.groups import make_group  # it needs scipy, which images that only train do not have

    valid = grades.valid
    if not valid.any():
        return {}
    p_up, up = grades.values("p_up"), grades.values("up")
    count = max(1, min(BINS, int(valid.sum()) // GROUP_EXAMPLES))
    edges = np.quantile(p_up[valid], np.linspace(0, 1, count + 1)[1:-1])
    group_of = np.searchsorted(edges, p_up)
    groups = [
        make_group(p_up, up, valid & (group_of == at), resamples, up_to=float(edges[at]) if at < len(edges) else 1.0)
        for at in np.unique(group_of[valid]).tolist()
    ]
    return {ROSE: groups, ROSE_OF_ALL: [make_group(p_up, up, valid, resamples, up_to=1.0)]}
