"""Calibration of stated probabilities out of sample: each decision by outcomes known when it was taken."""

import numpy as np

from cortex.domains.markets.backtest.grid import Grid
from cortex.domains.markets.outcomes import rise
from cortex.evaluation.grades import Floats

FIRST_DATES = 10
"""Decision dates whose outcomes must be known before any position is taken."""

PRIOR = 0.25
"""Variance of a rise, over that of the slope before anything is known: a slope of 1 is one standard deviation away from
the 0 of a forecaster without skill."""

CLIP = 0.01
"""Calibrated probabilities stay this far from 0 and 1."""


def calibrate_known(stated: Floats, grid: Grid, training: Floats, lag: int) -> Floats:
    """The probability of a rise over the bet that each of N decisions leads to (K x N); NaN before enough is known.

    The probability is a straight line in the stated one: b + s (p - mean p). b is the rate of rises of all outcomes
    known by then, those of `training` (T) included. s is the posterior mean of a regression's slope with the prior
    N(0, 1): nothing is believed before outcomes show it. All assets of a date count as one observation, because they
    share one market.

    A decision is paired with the outcome of the bet that it leads to, after the lag, and not with its own. An outcome
    counts from its own time on.

    Args:
        stated: Probabilities of a rise of K contenders (K x N).
    """
    acted = grid.acted(lag)
    paired = np.flatnonzero(acted >= 0)
    paired = paired[np.argsort(grid.known[acted[paired]], kind="stable")]
    known_from = grid.known[acted[paired]]
    p, up = stated[:, paired], rise(grid.outcome[acted[paired]])
    count = np.searchsorted(known_from, grid.at[grid.date], side="right")
    n = np.maximum(count, 1)

    def known_sum(values: Floats) -> Floats:
        """Sum over the pairs that were known at each decision (... x N)."""
        sums = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(axis=-1)], axis=-1)
        return sums[..., count]

    mean = known_sum(p) / n
    variance = known_sum(p**2) - n * mean**2
    covariance = known_sum(p * up) - mean * known_sum(up)
    per_date = len(grid.date) / len(grid.at)
    slope = np.maximum(covariance, 0.0) / (np.maximum(variance, 0.0) + PRIOR * per_date)
    base = (rise(training).sum() + known_sum(up)) / (len(training) + count)
    first = np.zeros(len(paired))
    first[np.unique(grid.date[paired], return_index=True)[1]] = 1.0
    is_known = known_sum(first) >= FIRST_DATES
    return np.where(is_known, np.clip(base + slope * (stated - mean), CLIP, 1 - CLIP), np.nan)
