"""Quantiles of values with probabilities."""

from collections.abc import Iterable


def weighted_quantile(values: Iterable[tuple[float, float]], level: float) -> float:
    """The least value at or below which lies a share `level` of the probability; `values` are pairs of both.

    Level 0.5 is the median: no other statement is nearer to the value on average, by any distance that grows with it.
    """
    ranked = sorted(values)
    reach = level * sum(probability for _, probability in ranked)
    total = 0.0
    for value, probability in ranked:
        total += probability
        if total >= reach - 1e-12 and probability > 0:
            return value
    return ranked[-1][0]
