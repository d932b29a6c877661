"""Regimes of a market at a decision, by features that were known then: no later price changes the regime of an example.

Bounds are fixed, not quantiles of the data, which would look ahead. Both features are of the symbol's own history.
"""

import polars as pl

from cortex.domains.markets.regime_names import STRATA

FEATURE_OF = {"volatility": "vol", "trend": "mom30"}
"""Feature of each: the z-score of the 30-bar volatility's logarithm in its trailing window; the 30-bar return over that
of a month of usual moves."""

BOUND = 0.5
"""Standard deviations from 0 at which the middle stratum ends: 38% of a normal distribution lie within."""


def regime(name: str) -> pl.Expr:
    """The regime of each row; a bound belongs to the middle."""
    low, middle, high = STRATA[name]
    value = pl.col(FEATURE_OF[name])
    found = pl.when(value < -BOUND).then(pl.lit(low)).when(value > BOUND).then(pl.lit(high))
    return found.otherwise(pl.lit(middle)).alias(name)
