"""Sharpe ratios in doubt: deflated for the number of tries, and the record that would be long enough to believe one."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import kurtosis, skew

from cortex.domains.markets.backtest.performance import sharpe_of
from cortex.evaluation.grades import Floats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Deflated:
    """A Sharpe ratio beside the best that tries without skill would reach. Ratios are of single bets."""

    tries: int
    sharpe: float
    hurdle: float
    """The expected best Sharpe ratio of so many tries without skill."""
    probability: float
    """Probability that the true Sharpe ratio exceeds the hurdle: the deflated Sharpe ratio."""
    needed: float | None
    """Bets, without overlap, that would show a Sharpe ratio above 0 with 95%, had it been tried alone; None where the
    Sharpe ratio is not above 0."""


def deflate(excess: Floats, others: Floats, *, tries: int, bets: float) -> Deflated:
    """Deflate the Sharpe ratio of one contender's returns over cash (D).

    Bailey and López de Prado 2014, "The deflated Sharpe ratio: correcting for selection bias, backtest overfitting, and
    non-normality"; the hurdle is their equation for the expected maximum of N independent normal variables. The
    variance of the tries' ratios is that of those known, and at least that of a ratio of 0 over a record of this
    length: tries that nobody recorded may have differed more. The minimum track record length is that of Bailey and
    López de Prado 2012, "The Sharpe ratio efficient frontier".

    Args:
        others: Returns over cash of the tries that are known (M x D), this one included.
        tries: Number of tries, at least those known.
        bets: Bets that do not overlap.
    """
    tries, sharpe = max(tries, len(others)), float(sharpe_of(excess))
    variance = 1 / max(bets - 1, 1.0)
    if len(others) > 1:
        variance = max(variance, float(sharpe_of(others).var(ddof=1)))
    hurdle = math.sqrt(variance) * expected_maximum(tries)
    shape = (float(skew(excess)), float(kurtosis(excess, fisher=False))) if excess.std() > 1e-12 else (0.0, 3.0)
    doubt = sharpe_doubt(sharpe, *shape)
    needed = 1 + doubt * (float(ndtri(CONFIDENCE)) / sharpe) ** 2 if sharpe > 0 else None
    return Deflated(tries, sharpe, hurdle, exceeds(sharpe, hurdle, doubt, bets), needed)


def expected_maximum(tries: int) -> float:
    """The expected largest of N independent standard normal variables, by extreme value theory; 0 for a single one."""
    if tries < 2:
        return 0.0
    high, higher = ndtri(1 - 1 / tries), ndtri(1 - 1 / (tries * math.e))
    return float((1 - np.euler_gamma) * high + np.euler_gamma * higher)


def exceeds(sharpe: float, hurdle: float, doubt: float, bets: float) -> float:
    """Probability that a true Sharpe ratio exceeds a hurdle: the probabilistic Sharpe ratio (2012)."""
    return float(ndtr((sharpe - hurdle) * math.sqrt(max(bets - 1, 0.0) / doubt)))


def sharpe_doubt(sharpe: float, skewness: float, kurtosis: float) -> float:
    """Variance of an estimated Sharpe ratio, times the bets less one: skewed and heavy-tailed returns leave more.

    A normal distribution has a kurtosis of 3.
    """
    return max(1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2, 1e-6)
