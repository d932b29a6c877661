"""Capital routed over assets and chains: by expected return, risk and the cost of moving it; long only, beside cash."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.covariance import LedoitWolf

from cortex.domains.markets.backtest.grid import Grid
from cortex.domains.markets.backtest.trading import Terms
from cortex.evaluation.grades import Bools, Floats

REFIT = 1.1
"""The covariance is estimated anew once so many times as many dates are known."""

_SCALE = 1e3
"""Factor of the objective, so that the solver's tolerance is small beside returns of some basis points."""


@dataclass(frozen=True, eq=False)
class Routing:
    """Shares of the capital, by the date of the decision (D x A), and the decisions that the solver left open."""

    targets: Floats
    unsolved: int


def route_capital(p_up: Floats, grid: Grid, move: Floats, training: Floats, terms: Terms) -> Routing:
    """Choose shares at each date from what was known then. Where no solution is found, they stay as they were.

    Args:
        p_up: Calibrated probabilities of a rise (N); NaN where too little was known, which keeps cash.
        move: Size of a usual move of each asset (A).
        training: Training outcomes by date and asset (T x A), NaN where there is none.
    """
    expected = grid.place((2 * np.nan_to_num(p_up, nan=0.5) - 1) * move[grid.asset])
    covariance = _Covariance(grid, training)
    targets, unsolved, quoted = np.zeros(grid.shape), 0, grid.quoted
    cap = max(terms.cap, 1 / len(grid.symbols))
    for date in range(len(targets)):
        before = targets[date - grid.span] if date >= grid.span else np.zeros(grid.shape[1])
        found = allocate(expected[date], covariance.known(date), before, quoted[date], cap, terms)
        unsolved += found is None
        targets[date] = before * quoted[date] if found is None else found
    return Routing(targets, unsolved)


def allocate(
    expected: Floats, covariance: Floats, before: Floats, quoted: Bools, cap: float, terms: Terms
) -> Floats | None:
    """The shares w of A assets that maximise w'e - (a/2) w'Cw - c sum |w - before|; None where the solver finds none.

    e are expected returns, C is their covariance, a the risk aversion and c the cost of a trade. w >= 0, each at most
    `cap`, and 1 in all; the rest is cash. What is bought and what is sold are variables of their own, so that the
    costs are smooth.
    """
    count = len(expected)
    held = np.where(quoted, np.minimum(before, cap), 0.0)
    if not (quoted & (expected > 0)).any() and not held.any():
        return held
    most_bought, most_sold = np.where(quoted, cap - held, 0.0), held

    def loss(trades: Floats) -> tuple[float, Floats]:
        shares = held + trades[:count] - trades[count:]
        risk = terms.risk_aversion * (covariance @ shares)
        slope = expected - risk
        value = shares @ (expected - risk / 2) - terms.cost * trades.sum()
        return -_SCALE * float(value), -_SCALE * np.concatenate([slope - terms.cost, -slope - terms.cost])

    direction = np.concatenate([-np.ones(count), np.ones(count)])
    room = {"type": "ineq", "fun": lambda t: 1 - held.sum() + direction @ t, "jac": lambda _: direction}
    solved = minimize(
        loss,
        np.zeros(2 * count),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, float(most)) for most in (*most_bought, *most_sold)],
        constraints=[room],
        options={"ftol": 1e-7, "maxiter": 200},
    )
    if not solved.success:
        return None
    shares = np.clip(held + solved.x[:count] - solved.x[count:], 0.0, cap)
    return shares / max(float(shares.sum()), 1.0)


class _Covariance:
    """The covariance of outcomes as known at each date, shrunk (Ledoit and Wolf 2004, "A well-conditioned estimator for
    large-dimensional covariance matrices"). A missing outcome counts as the mean of its date's."""

    def __init__(self, grid: Grid, training: Floats) -> None:
        returns = np.where(grid.quoted, grid.returns, np.nan)
        last = np.zeros(len(grid.at), dtype=np.int64)
        np.maximum.at(last, grid.date, grid.known)
        self._rows = _filled(np.concatenate([training, returns]))
        self._training = len(training)
        self._at, self._known = grid.at, np.maximum.accumulate(last)
        self._fitted, self._last = 0, np.eye(len(grid.symbols))

    def known(self, date: int) -> Floats:
        """The covariance from the outcomes known at a date's decisions (A x A)."""
        count = self._training + int(np.searchsorted(self._known, self._at[date], side="right"))
        if count >= max(2, REFIT * self._fitted):
            self._last = LedoitWolf().fit(self._rows[:count]).covariance_
            self._fitted = count
        return self._last


def _filled(rows: Floats) -> Floats:
    there = np.isfinite(rows)
    mean = np.where(there, rows, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.where(there, rows, mean[:, np.newaxis])
