"""Bayesian online changepoint detection on the known edge, date by date.

Adams and MacKay 2007, "Bayesian online changepoint detection", with normal values of unknown mean and variance
(Murphy 2007, "Conjugate Bayesian analysis of the Gaussian distribution").
"""

import numpy as np
from scipy.special import gammaln, stdtr

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import Kept
from cortex.evaluation.grades import Floats

HAZARD = 1 / 100
"""Probability of a change at each date: once in a hundred dates."""

SMALLEST = 1e-6
"""Run lengths that are less likely are forgotten."""


class RunLengths:
    """The distribution of the dates since the last change, and of the mean since then.

    The prior of each run is normal-inverse-gamma: mean 0, one observation's weight, and unit variance.
    """

    def __init__(self) -> None:
        self.share = np.ones(1)
        """Probability of each run length (R)."""
        self.mean, self.weight, self.shape, self.scale = (np.full(1, start) for start in (0.0, 1.0, 1.0, 1.0))

    def update(self, value: float) -> None:
        """Take one more value, in units of the usual spread."""
        grown = self.share * self._density(value)
        share = np.append(HAZARD * grown.sum(), (1 - HAZARD) * grown)
        gap = value - self.mean
        mean = np.append(0.0, self.mean + gap / (self.weight + 1))
        scale = np.append(1.0, self.scale + gap**2 * self.weight / (2 * (self.weight + 1)))
        weight, shape = np.append(1.0, self.weight + 1), np.append(1.0, self.shape + 0.5)
        share /= share.sum()
        likely = share >= SMALLEST
        self.share = share[likely] / share[likely].sum()
        self.mean, self.weight, self.shape, self.scale = (each[likely] for each in (mean, weight, shape, scale))

    def positive(self) -> float:
        """Probability that the present mean is above 0."""
        spread = np.sqrt(self.scale / (self.shape * self.weight))
        return float(self.share @ stdtr(2 * self.shape, self.mean / spread))

    def _density(self, value: float) -> Floats:
        """Student's t of the next value, given each run length (R)."""
        freedom = 2 * self.shape
        spread = self.scale * (self.weight + 1) / (self.shape * self.weight)
        log = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi * spread)
        return np.exp(log - (freedom + 1) / 2 * np.log1p((value - self.mean) ** 2 / (freedom * spread)))


def keep_while_positive(case: Case) -> Kept:
    """Keep where a positive mean of the edge is likelier than not, by the dates whose outcomes were known."""
    market, everything = case.market, np.arange(len(case.loss))
    edge = market.daily(case.edge, everything)
    known_at = np.zeros(len(edge))
    np.maximum.at(known_at, market.date, market.known_at)
    first = edge[: np.searchsorted(known_at, market.at[case.steps[0].now].min(), side="right")]
    spread = float(first.std()) or 1.0
    lengths, learned, positive = RunLengths(), 0, np.zeros(len(edge))
    for date, now in enumerate(np.unique(market.at)):
        while known_at[learned] <= now:
            lengths.update(float(edge[learned]) / spread)
            learned += 1
        positive[date] = lengths.positive()
    return Kept(positive[market.date] > 0.5, f"probability {positive[-1]:.0%} of an edge in the end")
