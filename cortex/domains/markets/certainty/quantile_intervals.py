"""Quantile regression: intervals of the return from the features alone, without the model.

Koenker and Bassett 1978, "Regression quantiles". Ends that cross are swapped (Chernozhukov, Fernández-Val, Galichon
2010, "Quantile and probability curves without crossing").
"""

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Replaced, refusing_warnings
from cortex.domains.markets.forecasts import INTERVAL_LEVEL

ROWS = 1500
"""Training rows to fit, the latest."""


def quantile_intervals(case: Case) -> Replaced:
    """Replace intervals by the 5% and 95% quantiles of linear models that are fitted on the end of training."""
    market = case.market
    x, y = market.train_features[-ROWS:], market.train_outcome[-ROWS:]
    moving = x.std(axis=0) > 0
    needed = 20 * (1 + int(moving.sum()))
    if len(y) < needed:
        raise CannotTellError(
            f"{len(y)} training rows, and {needed} are needed for tails of {int(moving.sum())} features"
        )
    from statsmodels.regression.quantile_regression import QuantReg

    mean, scale = x[:, moving].mean(axis=0), x[:, moving].std(axis=0)
    design, asked = (
        np.column_stack([np.ones(len(rows)), np.clip((rows[:, moving] - mean) / scale, -5, 5)])
        for rows in (x, market.features)
    )
    with refusing_warnings("statsmodels"):
        tails = [
            asked @ QuantReg(y, design).fit(q=q, max_iter=2000).params
            for q in ((1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2)
        ]
    return Replaced(np.minimum(*tails), np.maximum(*tails))
