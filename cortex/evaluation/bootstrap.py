"""Intervals that respect how replies go right and wrong together: a circular block bootstrap over clusters.

A cluster is resampled whole: all symbols of a date share one market, all questions made of one problem its difficulty.
Where clusters follow one another in time, neighbours share outcomes (where horizons overlap) and persistent features,
so they are resampled in blocks of consecutive ones, taken in a circle so that each counts as often as any other (Künsch
1989, "The jackknife and the bootstrap for general stationary observations"; Politis and Romano 1992, "A circular
block-resampling procedure for stationary data").
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from cortex.errors import DataError
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Floats, Grades, saved
from cortex.evaluation.measure import Measure
from cortex.evaluation.record import Comparison
from cortex.evaluation.sample_size import LEVEL


@dataclass(frozen=True, eq=False)
class Resamples:
    """R resamples of C clusters, drawn once and used for every contender, so that differences are paired."""

    cluster: NDArray[np.intp]
    """Index of the cluster of each of the N examples."""
    counts: Floats
    """Number of times that each cluster was drawn (R x C)."""
    block_length: int
    cut: float = 0.0
    """Share of the variance of a mean that is lost where blocks cut overlapping outcomes apart."""

    @classmethod
    def draw(cls, clusters: Clusters, *, resamples: int = 1000, seed: int = 0) -> "Resamples":
        """Draw resamples: of clusters in time by blocks, of other clusters one by one.

        Raises:
            DataError: fewer than two clusters.
        """
        count = len(clusters)
        if count < 2:
            raise DataError(f"{count} cluster(s) of examples: an interval needs at least two; judge on more")
        length = block_length(count, clusters.span) if clusters.times else 1
        blocks = math.ceil(count / length)
        starts = np.random.default_rng(seed).integers(count, size=(resamples, blocks, 1))
        drawn = ((starts + np.arange(length)) % count).reshape(resamples, -1)[:, :count]
        row = np.arange(resamples)[:, np.newaxis] * count
        counts = np.bincount((row + drawn).ravel(), minlength=resamples * count).reshape(resamples, -1)
        cut = lost_to_cuts(length, clusters.span) if clusters.times else 0.0
        return cls(clusters.of, counts.astype(np.float64), length, cut)

    def means(self, values: Floats) -> Floats:
        """The mean of the values of N examples in each resample (R)."""
        totals = np.bincount(self.cluster, weights=values, minlength=self.counts.shape[1])
        sizes = np.bincount(self.cluster, minlength=self.counts.shape[1])
        return (self.counts @ totals) / (self.counts @ sizes)

    def interval(
        self,
        estimate: float,
        replicates: Floats,
        bounds: tuple[float, float] = (-np.inf, np.inf),
        *,
        level: float = LEVEL,
    ) -> Interval:
        """The interval around an estimate from its R replicates, kept within what the score can be; 95% by default.

        The percentile interval is too narrow where blocks are few: its deviations are widened by sqrt(B / (B - 1)) and
        by Student's t with B - 1 degrees of freedom over the normal quantile, B being the number of blocks; and by what
        blocks cut away of overlapping outcomes. docs/judging.md has the coverage that was measured.
        """
        blocks = self.counts.shape[1] / self.block_length
        upper = (1 + LEVEL) / 2
        widening = math.sqrt(blocks / (blocks - 1) / (1 - self.cut)) * stdtrit(blocks - 1, upper) / ndtri(upper)
        ends = estimate + widening * (np.quantile(replicates, [1 - upper, upper]) - estimate)
        low, high = np.clip(ends, *bounds)
        return Interval(low=float(low), high=float(high))


def block_length(count: int, span: int) -> int:
    """Clusters in a block: at least the cube root of their number (the rate of Künsch 1989) and twice the overlap.

    Outcomes over h > 1 steps are correlated up to lag h - 1. Blocks of h would cut a third of that correlation away,
    blocks of 2 h a sixth. At most half of the clusters, so that there are two blocks.
    """
    overlap = 2 * span if span > 1 else 1
    return max(1, min(max(overlap, math.ceil(count ** (1 / 3))), count // 2))


def lost_to_cuts(length: int, span: int) -> float:
    """Share of the variance of a mean that blocks of `length` lose where outcomes span h = `span` clusters.

    Sums over h steps have autocorrelations 1 - k / h, of which a block bootstrap counts 1 - k / l (Künsch 1989): of the
    variance h, (h^2 - 1) / 3 l is lost. It is a sixth for blocks of 2 h; at most a half is made good, in blocks shorter
    than h.
    """
    return min(0.5, (span**2 - 1) / (3 * span * length))


def measure_interval(resamples: Resamples, grades: Grades, measure: Measure) -> Interval:
    """The interval of one contender's figure."""
    replicates = resamples.means(grades.values(measure.of))
    if measure.saved_of is not None:
        replicates = saved(replicates, resamples.means(grades.values(measure.saved_of)))
    return resamples.interval(grades.figure(measure), replicates, measure.bounds)


def compare(resamples: Resamples, first: tuple[str, Grades], second: tuple[str, Grades]) -> Comparison:
    """The paired difference of two contenders' losses on the same N examples, each as its name and grades."""
    advantage = second[1].loss - first[1].loss
    estimate = float(advantage.mean())
    interval = resamples.interval(estimate, resamples.means(advantage))
    return Comparison(first=first[0], second=second[0], difference=estimate, interval=interval)
