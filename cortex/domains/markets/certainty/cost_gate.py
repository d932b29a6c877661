"""Execution cost: a forecast is kept where its expected move pays for going in and out.

Almgren and Chriss 2001, "Optimal execution of portfolio transactions", without impact: no size of a trade is known.
"""

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import Kept

COST = 0.002
"""Fees and half spreads of both ways, a fraction: what a small order of a large coin costs, about."""


def keep_above_cost(case: Case) -> Kept:
    """Keep where the expected return exceeds the cost, up or down."""
    expected = np.abs(case.expected)
    return Kept(expected > COST, f"usual expected move {np.median(expected):.2%}, cost {COST:.2%}")
