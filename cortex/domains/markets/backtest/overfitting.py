"""The probability of backtest overfitting: how often the best of one half of the time is no better than most in the
other."""

from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from cortex.domains.markets.backtest.performance import ratio
from cortex.evaluation.grades import Floats

MOST_PARTS = 16
"""Parts of the time, of which half train: 12,870 ways."""

LEAST_DATES = 4
"""Dates of a part at least."""


def overfitting_probability(excess: Floats, span: int) -> float | None:
    """The probability that the contender that was best in one half ranks in the lower half in the other one.

    By combinatorially symmetric cross-validation, with the Sharpe ratio as the rank (Bailey, Borwein, López de Prado
    and Zhu 2015, "The probability of backtest overfitting"). Near 1/2 the choice of the best is worth nothing. Of ways
    in which the best lies in the very middle, half count. A part has as many dates as twice the overlap at least, so
    that few outcomes reach into the next.

    Args:
        excess: Returns over cash of K contenders (K x D).
        span: Dates that one outcome spans.

    Returns:
        None where there are fewer than two contenders, or too few dates for four parts.
    """
    contenders, dates = excess.shape
    parts = min(MOST_PARTS, dates // max(LEAST_DATES, 2 * span) // 2 * 2)
    if contenders < 2 or parts < 4:
        return None
    pieces = np.array_split(excess, parts, axis=1)
    sums = np.stack([np.stack([np.full(contenders, p.shape[1]), p.sum(axis=1), (p**2).sum(axis=1)]) for p in pieces])
    chosen = np.array(list(combinations(range(parts), parts // 2)))
    inside = np.zeros((len(chosen), parts))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    trained, tested = (_sharpe(np.tensordot(mask, sums, axes=1)) for mask in (inside, 1 - inside))
    ranks = np.asarray(rankdata(tested, axis=1)) / (contenders + 1)
    best = ranks[np.arange(len(chosen)), trained.argmax(axis=1)]
    return float((best < 0.5 - 1e-9).mean() + 0.5 * (np.abs(best - 0.5) <= 1e-9).mean())


def _sharpe(sums: Floats) -> Floats:
    """Sharpe ratios (W x K) from counts, sums and sums of squares (W x 3 x K)."""
    count, total, squares = sums[:, 0], sums[:, 1], sums[:, 2]
    mean = total / count
    return ratio(mean, np.sqrt(np.maximum(squares / count - mean**2, 0.0)))
