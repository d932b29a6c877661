"""Baselines that know one number: how often returns rise, or did lately, or did after a feature of this size."""

import numpy as np
import polars as pl
from sklearn.isotonic import IsotonicRegression

from cortex.domains.markets.forecasts import Climatology, Forecasts, interval_quantiles
from cortex.domains.markets.outcomes import rise
from cortex.domains.markets.unfitted import UnfittedError
from cortex.evaluation.grades import Floats

TRAILING = 100
"""Times at which outcomes became known that the trailing base rate looks back on: some months of days. Its standard
error with one symbol is then 5 points."""

BANDS = 5
"""Bands of equal size into which mean reversion divides its feature."""


def base_rate(n: int, climatology: Climatology) -> Forecasts:
    """The training outcomes' rate of up and interval, N times; no return is expected."""
    stated = np.tile([climatology.base_rate, 0.0, climatology.low, climatology.high], (n, 1))
    return Forecasts(*stated.T)


def trailing_base_rate(train: pl.DataFrame, test: pl.DataFrame, climatology: Climatology) -> Forecasts:
    """The base rate of the last outcomes that were known at each decision, and their interval.

    An outcome is known from `outcome_time` on, the close of its horizon's last bar. So test rows count, too, once they
    are over; those that still run are left out. Where none is known yet, the training climatology stands.
    """
    columns = ("outcome", "outcome_time")
    past = pl.concat([train.select(columns), test.select(columns)]).sort("outcome_time")
    outcome, known = past["outcome"].to_numpy(), past["outcome_time"].to_numpy()
    times = np.unique(known)
    decisions, decision_of = np.unique(test["at"].to_numpy(), return_inverse=True)
    ends = np.searchsorted(times, decisions, side="right")
    stated = np.tile([climatology.base_rate, 0.0, climatology.low, climatology.high], (len(decisions), 1))
    for at, end in enumerate(ends.tolist()):
        if end:
            first = np.searchsorted(known, times[max(0, end - TRAILING)], side="left")
            last = np.searchsorted(known, times[end - 1], side="right")
            lately = outcome[first:last]
            stated[at] = (rise(lately).mean(), 0.0, *interval_quantiles(lately))
    return Forecasts(*stated[decision_of].T)


def momentum(train: pl.DataFrame, test: pl.DataFrame, feature: str, climatology: Climatology) -> Forecasts:
    """Training outcomes where the feature had the same sign, 0 being one of three; the base rate where it never had.

    Raises:
        UnfittedError: the feature has but one sign in training.
    """
    outcome, was = train["outcome"].to_numpy(), rise(train[feature].to_numpy())
    now = rise(test[feature].to_numpy())
    if len(np.unique(was)) == 1:
        raise UnfittedError(f"{feature} has the same sign in all training examples")
    stated = np.tile([climatology.base_rate, 0.0, climatology.low, climatology.high], (len(test), 1))
    for sign in np.unique(was):
        stated[now == sign] = _followed(outcome[was == sign])
    return Forecasts(*stated.T)


def mean_reversion(train: pl.DataFrame, test: pl.DataFrame, feature: str) -> Forecasts:
    """Training outcomes in the same band of the feature, where prices that rose far are never likelier to rise again.

    Rates of up that rise with the feature are pooled until they do not (Ayer et al. 1955, "An empirical distribution
    function for sampling with incomplete information"); so a market of trends alone has one rate.

    Raises:
        UnfittedError: the feature is constant in training, or no lower level of it was followed by more rises.
    """
    outcome, was, now = train["outcome"].to_numpy(), train[feature].to_numpy(), test[feature].to_numpy()
    if was.min() == was.max():
        raise UnfittedError(f"{feature} is constant in training")
    edges = np.unique(np.quantile(was, np.linspace(0, 1, BANDS + 1)[1:-1]))
    band = np.searchsorted(edges, was)
    bands, weight = np.unique(band, return_counts=True)
    rates = np.bincount(band, weights=rise(outcome))[bands] / weight
    pooled = IsotonicRegression(increasing=False).fit_transform(bands, rates, sample_weight=weight)
    pools = np.unique(pooled)
    if len(pools) == 1:
        raise UnfittedError(
            f"in training, returns rose no more often after low levels of {feature} than after high ones"
        )
    pool_of = dict(zip(bands.tolist(), np.searchsorted(pools, pooled).tolist(), strict=True))
    was_in = np.array([pool_of[each] for each in band.tolist()])
    stated = np.array([_followed(outcome[was_in == pool]) for pool in range(len(pools))])
    nearest = bands[np.abs(np.searchsorted(edges, now)[:, np.newaxis] - bands).argmin(axis=1)]
    return Forecasts(*stated[[pool_of[each] for each in nearest.tolist()]].T)


def _followed(outcome: Floats) -> tuple[float, float, float, float]:
    """The forecast that returns will be like these."""
    return (float(rise(outcome).mean()), float(outcome.mean()), *interval_quantiles(outcome))
