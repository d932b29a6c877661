"""Sampling without replacement by weight: how many rows the weights allow, each row's probability, and the draw."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

UNIT = 2**32
"""Probabilities are summed as whole numbers of this many parts, so that no rounding decides a draw."""


def effective_size(weights: Floats) -> float:
    """Number of equally weighted rows that tell as much (Kish, Survey Sampling, 1965, section 11.7). N weights."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def most_rows(weights: Floats, cells: Places) -> float:
    """Rows to draw at most: the effective sample size, or fewer where a cell has not enough rows for its share.

    `cells` has the cell of each row (N), whose share of the draw is its share of the weights.
    """
    sums = np.bincount(cells, weights)
    sizes = np.bincount(cells, weights > 0)
    filled = sums > 0
    return min(effective_size(weights), float((sizes[filled] * weights.sum() / sums[filled]).min()))


def inclusion_probabilities(weights: Floats, cells: Places, count: float) -> Floats:
    """Probability of each row in a draw of `count` rows (N).

    Each cell has its share of the draw. Within it probabilities are in proportion to weights; a row that would need
    more than 1 is certain, and the others share the rest (Tillé, Sampling Algorithms, 2006, section 2.10).
    """
    probabilities = np.zeros_like(weights)
    sums = np.bincount(cells, weights)
    for cell in np.flatnonzero(sums):
        rows = np.flatnonzero(cells == cell)
        probabilities[rows] = _capped(weights[rows], count * float(sums[cell] / sums.sum()))
    return probabilities


def _capped(weights: Floats, count: float) -> Floats:
    certain = np.zeros(len(weights), dtype=bool)
    while True:
        left = np.where(certain, 0.0, weights)
        scaled = left * ((count - certain.sum()) / left.sum()) if left.any() else left
        beyond = scaled > 1
        if not beyond.any():
            return np.where(certain, 1.0, scaled)
        certain |= beyond


def draw_systematically(probabilities: Floats, start: int) -> NDArray[np.bool_]:
    """Systematic sampling: row i is drawn with its probability, and any stretch holds its share (Madow, 1949) (N).

    `start`, from 0 to `UNIT` - 1, is the random start. As many rows are drawn as the probabilities sum to, or one more.
    """
    ends = np.round(probabilities * UNIT).astype(np.int64).cumsum() + start
    return np.diff(ends // UNIT, prepend=0) > 0
