"""Groups of answers, such as forecasts of a like probability, and the share of each group that came true."""

import math

import numpy as np
from scipy.special import ndtri

from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.record import Group
from cortex.evaluation.sample_size import LEVEL
from cortex.evaluation.verdict import MINIMUM_CLUSTERS


def make_group(stated: Floats, true: Floats, member: Bools, resamples: Resamples, up_to: float) -> Group:
    """The group of those among N answers that are `member`s, at least one.

    `stated` is the number by which answers are grouped, `true` their truth from 0 to 1, `up_to` the largest number that
    belongs to the group. With answers of few clusters no share is stated: its interval would be a guess.
    """
    count, clusters = int(member.sum()), len(np.unique(resamples.cluster[member]))
    enough = clusters >= MINIMUM_CLUSTERS
    share = float(true[member].mean())
    return Group(
        low=float(stated[member].min()),
        high=float(stated[member].max()),
        up_to=up_to,
        examples=count,
        clusters=clusters,
        share=share if enough else None,
        interval=_interval(share, true, member, resamples, clusters) if enough else None,
    )


def _interval(share: float, true: Floats, member: Bools, resamples: Resamples, clusters: int) -> Interval:
    """The wider of two: of the clusters' resamples, and Wilson's.

    A share of 0 or 1 is the same in every resample, so that its interval is Wilson's, which counts each cluster once.
    """
    drawn = resamples.means(member.astype(np.float64))
    found = drawn > 0
    replicates = resamples.means(np.where(member, true, 0.0))[found] / drawn[found]
    sampled = resamples.interval(share, replicates, (0.0, 1.0))
    plain = wilson(share, clusters if share in (0.0, 1.0) else int(member.sum()))
    return Interval(low=min(sampled.low, plain.low), high=max(sampled.high, plain.high))


def wilson(share: float, count: int) -> Interval:
    """The 95% score interval of a share of `count` (Wilson 1927, "Probable inference, the law of succession")."""
    z = float(ndtri((1 + LEVEL) / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return Interval(low=max(0.0, middle - half), high=min(1.0, middle + half))
