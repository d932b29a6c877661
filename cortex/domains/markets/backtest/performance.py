"""Figures of an account: growth, Sharpe and Sortino ratios, drawdown and Calmar ratio, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Floats

LEAST = 1e-6
"""Least remainder of a capital of 1, so that its logarithm exists."""

LEAST_DRAWDOWN = 1e-3
"""Drawdown by which growth is divided at least: below it a Calmar ratio says nothing."""


@dataclass(frozen=True)
class Figure:
    value: float
    interval: Interval


@dataclass(frozen=True)
class Performance:
    """One contender's figures. Overlapping bets count as so many fewer: a year has `Grid.bets_per_year` of them."""

    excess: Figure
    """Mean return over cash, a year."""
    growth: Figure
    """Growth of the capital, a year."""
    sharpe: Figure
    """Mean over standard deviation of the returns over cash, a year (Sharpe 1994)."""
    sortino: Figure
    """Mean over the root of the mean squared loss, returns over cash, a year (Sortino and Price 1994)."""
    drawdown: Figure
    """Largest loss from a peak of the capital at a date."""
    calmar: Figure
    """Growth over drawdown (Young 1991)."""


def measure_performance(
    net: Floats, *, cash: float, span: int, bets_per_year: float, resamples: Resamples
) -> Performance:
    """The figures of one contender's bets (D returns), whose dates are the clusters of `resamples`.

    Ratios are those of single bets, times the root of the bets that follow one another in a year: the variance of
    overlapping returns would otherwise be counted as if they were independent.
    """
    excess, counts = net - cash, resamples.counts
    root = np.sqrt(bets_per_year)
    drawn = counts.sum(axis=1)
    mean = counts @ excess / drawn
    square = counts @ excess**2 / drawn
    loss = np.sqrt(counts @ np.minimum(excess, 0.0) ** 2 / drawn)
    growth_log = _growth_log(net)
    growth = _growth(counts @ growth_log / drawn, bets_per_year)
    drawdown = _drawdowns(growth_log / span, counts)

    def figure(value: float, replicates: Floats, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Figure:
        return Figure(value, resamples.interval(value, replicates, bounds))

    own_growth = float(_growth(growth_log.mean(), bets_per_year))
    own_drawdown = float(_drawdowns(growth_log / span, np.ones((1, len(net))))[0])
    own_loss = np.sqrt((np.minimum(excess, 0.0) ** 2).mean())
    calmar = own_growth / max(own_drawdown, LEAST_DRAWDOWN)
    return Performance(
        excess=figure(float(excess.mean() * bets_per_year), mean * bets_per_year),
        growth=figure(own_growth, growth, (-1.0, np.inf)),
        sharpe=figure(float(root * sharpe_of(excess)), root * ratio(mean, np.sqrt(np.maximum(square - mean**2, 0.0)))),
        sortino=figure(float(root * ratio(excess.mean(), own_loss)), root * ratio(mean, loss)),
        drawdown=figure(own_drawdown, drawdown, (0.0, 1.0)),
        calmar=figure(calmar, growth / np.maximum(drawdown, LEAST_DRAWDOWN)),
    )


def sharpe_of(excess: Floats) -> Floats:
    """The Sharpe ratio of single bets along the last axis (... x D); 0 where nothing varies."""
    return ratio(excess.mean(axis=-1), excess.std(axis=-1))


def ratio(mean: Floats | np.floating, deviation: Floats | np.floating) -> Floats:
    """A mean over a deviation; 0 where the deviation is none but for rounding."""
    varies = np.asarray(deviation > 1e-12)
    return np.divide(mean, deviation, out=np.zeros(varies.shape), where=varies)


def difference(net: Floats, other: Floats, bets_per_year: float, resamples: Resamples) -> Figure:
    """The mean return of one contender less another's on the same dates, a year."""
    apart = net - other
    replicates = resamples.counts @ apart / resamples.counts.sum(axis=1)
    value = float(apart.mean() * bets_per_year)
    return Figure(value, resamples.interval(value, replicates * bets_per_year))


def equity(net: Floats, span: int) -> Floats:
    """The capital after the bets of each date (D), which began as 1: the geometric mean of its parts."""
    return np.exp((_growth_log(net) / span).cumsum())


def _growth_log(net: Floats) -> Floats:
    return np.log(np.maximum(1 + net, LEAST))


def _growth(mean_log: Floats | np.floating, bets_per_year: float) -> Floats:
    return np.expm1(np.minimum(np.asarray(mean_log) * bets_per_year, 50.0))


def _drawdowns(growth_log: Floats, counts: Floats) -> Floats:
    """The largest drawdown of each resample (R), its dates in their order, each as often as it was drawn (R x D)."""
    dates = np.tile(np.arange(len(growth_log)), len(counts))
    order = np.repeat(dates, counts.ravel().astype(np.intp)).reshape(len(counts), -1)
    path = growth_log[order].cumsum(axis=1)
    peak = np.maximum(np.maximum.accumulate(path, axis=1), 0.0)
    return np.abs(np.expm1((path - peak).min(axis=1)))
