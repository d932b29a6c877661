"""Positions from calibrated probabilities, and those that know nothing: equal weight, buy and hold, one asset."""

import numpy as np

from cortex.domains.markets.backtest.grid import Grid
from cortex.domains.markets.backtest.trading import Terms
from cortex.evaluation.grades import Floats

FULL_EDGE = 0.1
"""Edge of a probability, twice its distance from one half, for which an asset gets its whole share: that of 55%."""


def usual_move(training: Floats) -> Floats:
    """The mean size of each asset's moves in training (A), from its outcomes (T x A, NaN where there is none)."""
    there = np.isfinite(training)
    total, count = np.where(there, np.abs(training), 0.0).sum(axis=0), there.sum(axis=0)
    overall = total.sum() / max(count.sum(), 1)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def choose_positions(p_up: Floats, grid: Grid, move: Floats, terms: Terms) -> Floats:
    """Shares of the capital in each asset, by the date of the decision (K x D x A).

    Every asset of a date has an equal share at its disposal. It is used as far as the edge |2 p - 1| exceeds that at
    which the expected return pays for getting in and out, and in full from `FULL_EDGE` beyond it. An expected fall
    keeps cash, unless the terms allow to go short. No position is taken on a probability that is NaN.

    Args:
        p_up: Calibrated probabilities of K contenders (K x N).
        move: Size of a usual move of each asset (A).
    """
    edge = 2 * np.nan_to_num(p_up, nan=0.5) - 1
    price = 2 * terms.cost / np.maximum(move[grid.asset], 1e-12)
    size = np.clip((np.abs(edge) - price) / FULL_EDGE, 0.0, 1.0) * np.sign(edge)
    if not terms.short:
        size = np.maximum(size, 0.0)
    share = 1 / np.bincount(grid.date, minlength=len(grid.at))
    return grid.place(size * share[grid.date])


def equal_weight(grid: Grid) -> Floats:
    """The same share of the capital in each asset, restored at each date (D x A)."""
    return np.full(grid.shape, 1 / len(grid.symbols))


def buy_and_hold(grid: Grid) -> Floats:
    """Equal shares at the first date, never traded again over `Grid.filled_returns` (D x A)."""
    grown = np.ones(grid.shape)
    for first in range(grid.span):
        growth = (1 + grid.filled_returns[first :: grid.span]).cumprod(axis=0)
        grown[first + grid.span :: grid.span] = growth[:-1]
    return grown / np.maximum(grown.sum(axis=1, keepdims=True), 1e-300)


def single_asset(grid: Grid, asset: int) -> Floats:
    """All of the capital in one asset (D x A)."""
    return np.tile(np.arange(len(grid.symbols)) == asset, (len(grid.at), 1)).astype(np.float64)
