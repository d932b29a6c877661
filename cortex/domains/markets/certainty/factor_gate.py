"""Factor weighting: features weighted by their information coefficients, as a second opinion on the direction.

Grinold and Kahn 1999, "Active portfolio management", ch. 10-11; weights halve with the age of the dates. The share of a
feature is that of its Shapley values, which of a linear score are exactly weight x (value - mean) (Štrumbelj and
Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions").
"""

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case, Market
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept
from cortex.evaluation.grades import Floats

ROWS = 100
"""Training rows, at least."""

HALF_LIFE = 250
"""Dates after which an observation counts half."""


def keep_with_factors(case: Case) -> Kept:
    """Keep where the weighted factors point into the forecast's direction."""
    market = case.market
    if len(market.train_outcome) < ROWS:
        raise CannotTellError(f"{len(market.train_outcome)} training rows, and {ROWS} are needed to weigh factors")
    values, weights = weigh_factors(market)
    shares = np.abs(values * weights).mean(axis=0)
    if shares.sum() == 0:
        raise CannotTellError("no feature went with the returns")
    top = int(np.argmax(shares))
    said = f"{market.names[top]} carries {shares[top] / shares.sum():.0%} of the factors' score"
    return Kept((values @ weights) * (case.p_up - 0.5) > 0, said)


def weigh_factors(market: Market) -> tuple[Floats, Floats]:
    """The standardised features of the test rows (N x F), and the weights: correlations with training returns (F)."""
    _, date = np.unique(market.train_at, return_inverse=True)
    ages = 0.5 ** ((date.max() - date) / HALF_LIFE)
    ages /= ages.sum()
    mean = ages @ market.train_features
    spread = np.sqrt(ages @ (market.train_features - mean) ** 2)
    scale = np.where(spread > 0, spread, np.inf)
    trained, values = ((rows - mean) / scale for rows in (market.train_features, market.features))
    returns = market.train_outcome - ages @ market.train_outcome
    return values, (ages * returns) @ trained / max(float(np.sqrt(ages @ returns**2)), 1e-12)
