"""Intervals that respect how forecasts go right and wrong together: a circular block bootstrap over decision dates.

All symbols of a date share one market, so a date is resampled whole. Neighbouring dates share outcomes (where horizons
overlap) and persistent features, so dates are resampled in blocks of consecutive ones, taken in a circle so that each
counts as often as any other (Künsch 1989, "The jackknife and the bootstrap for general stationary observations";
Politis and Romano 1992, "A circular block-resampling procedure for stationary data").
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from cortex.errors import DataError
from cortex.evaluation.forecasts import Floats
from cortex.evaluation.record import Comparison, Interval, ScoreIntervals
from cortex.evaluation.scores import Losses, skill

Times = NDArray[np.datetime64]

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class DateResamples:
    """R resamples of D decision dates, drawn once and used for every forecaster, so that differences are paired."""

    date: NDArray[np.intp]
    """Index of the date of each of the N examples."""
    counts: Floats
    """Number of times that each date was drawn (R x D)."""
    block_length: int

    @classmethod
    def draw(cls, decision_time: Times, horizon_steps: int, *, resamples: int = 1000, seed: int = 0) -> "DateResamples":
        """Draw resamples of the dates among N decision times, of which one outcome spans `horizon_steps`.

        Raises:
            DataError: fewer than two dates.
        """
        dates, date = np.unique(decision_time, return_inverse=True)
        if len(dates) < 2:
            raise DataError(f"{len(dates)} decision date(s): an interval needs at least two; test over a longer period")
        length = block_length(len(dates), horizon_steps)
        blocks = math.ceil(len(dates) / length)
        starts = np.random.default_rng(seed).integers(len(dates), size=(resamples, blocks, 1))
        drawn = ((starts + np.arange(length)) % len(dates)).reshape(resamples, -1)[:, : len(dates)]
        row = np.arange(resamples)[:, np.newaxis] * len(dates)
        counts = np.bincount((row + drawn).ravel(), minlength=resamples * len(dates)).reshape(resamples, -1)
        return cls(date, counts.astype(np.float64), length)

    def means(self, values: Floats) -> Floats:
        """The mean of the values of N examples in each resample (R)."""
        totals = np.bincount(self.date, weights=values, minlength=self.counts.shape[1])
        sizes = np.bincount(self.date, minlength=self.counts.shape[1])
        return (self.counts @ totals) / (self.counts @ sizes)

    def interval(
        self, estimate: float, replicates: Floats, bounds: tuple[float, float] = (-np.inf, np.inf)
    ) -> Interval:
        """The 95% interval around an estimate from its R replicates, kept within what the score can be.

        The percentile interval is too narrow where blocks are few: its deviations are widened by sqrt(B / (B - 1)) and
        by Student's t with B - 1 degrees of freedom over the normal quantile, B being the number of blocks. In
        simulations with 40 to 500 dates, with and without overlapping outcomes, that brings coverage from 85-92% to
        92-97%.
        """
        blocks = self.counts.shape[1] / self.block_length
        upper = (1 + LEVEL) / 2
        widening = math.sqrt(blocks / (blocks - 1)) * stdtrit(blocks - 1, upper) / ndtri(upper)
        ends = estimate + widening * (np.quantile(replicates, [1 - upper, upper]) - estimate)
        low, high = np.clip(ends, *bounds)
        return Interval(low=float(low), high=float(high))


def block_length(n_dates: int, horizon_steps: int) -> int:
    """The dates in a block: the cube root of their number (the rate of Künsch 1989), and twice an overlapping horizon.

    Outcomes over h > 1 steps are correlated up to lag h - 1. Blocks of h would cut a third of that correlation away,
    blocks of 2 h a sixth. At most half of the dates, so that there are two blocks.
    """
    overlap = 2 * horizon_steps if horizon_steps > 1 else 1
    return max(1, min(max(overlap, math.ceil(n_dates ** (1 / 3))), n_dates // 2))


def horizon_in_steps(decision_time: Times, outcome_time: Times) -> int:
    """Maximum number of decision dates that one outcome spans: 1 where outcomes do not overlap. Both have N times."""
    dates = np.unique(decision_time)
    spans = np.searchsorted(dates, outcome_time) - np.searchsorted(dates, decision_time)
    return max(1, int(spans.max()))


def score_intervals(resamples: DateResamples, losses: Losses) -> ScoreIntervals:
    """The intervals of one forecaster's scores, from the losses of N examples."""

    def mean(values: Floats, bounds: tuple[float, float] = (0, 1)) -> Interval:
        return resamples.interval(float(values.mean()), resamples.means(values), bounds)

    def saved(loss: Floats, reference: Floats) -> Interval:
        estimate = float(skill(loss.mean(), reference.mean()))
        return resamples.interval(estimate, skill(resamples.means(loss), resamples.means(reference)), (-np.inf, 1))

    return ScoreIntervals(
        accuracy=mean(losses.hit),
        brier=mean(losses.brier),
        brier_skill=saved(losses.brier, losses.reference_brier),
        log_loss=mean(losses.log_loss, (0, np.inf)),
        return_skill=saved(losses.absolute_error, losses.absolute_return),
        coverage=mean(losses.covered),
    )


def compare(resamples: DateResamples, first: tuple[str, Losses], second: tuple[str, Losses]) -> Comparison:
    """The paired difference of two forecasters' Brier scores on the same N examples, each as its name and losses."""
    advantage = second[1].brier - first[1].brier
    estimate = float(advantage.mean())
    interval = resamples.interval(estimate, resamples.means(advantage))
    return Comparison(first=first[0], second=second[0], difference=estimate, interval=interval)
