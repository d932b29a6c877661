"""Order flow: toxicity and adverse selection, where the examples tell the volume of buyers from the rest.

Easley, López de Prado, O'Hara 2012, "Flow toxicity and liquidity in a high-frequency world" (VPIN); Glosten and Milgrom
1985, "Bid, ask and transaction prices in a specialist market". Features are standardised, so that the imbalance is the
difference of the standardised volumes, in place of that of the volumes of buckets.
"""

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept
from cortex.evaluation.grades import Floats

PAIRS = (("taker_buy_volume", "volume"), ("buy_volume", "sell_volume"), ("taker_buy_quote_volume", "quote_volume"))
"""Features of the buyers' volume and of the volume to compare it with."""

BUCKETS = 10
"""Decisions of a symbol, the latest, over which toxicity is a mean."""

TOXIC = 0.7
"""Quantile of the past's toxicity from which on forecasts are withheld."""


def keep_untoxic(case: Case) -> Kept:
    """Keep where buyers and sellers were not more out of balance than usual."""
    toxic, keep = _toxicity(case, np.abs(_imbalance(case))), case.no_decision()
    for step in case.steps:
        keep[step.now] = toxic[step.now] <= np.quantile(toxic[step.past], TOXIC)
    return Kept(keep, f"usual imbalance {np.median(toxic):.2f} standard deviations")


def keep_with_flow(case: Case) -> Kept:
    """Keep where the flow does not go against the forecast: who trades against it may know more."""
    against = np.sign(case.p_up - 0.5) * _imbalance(case)
    return Kept(against >= 0, f"{np.mean(against < 0):.0%} of the forecasts go against the flow")


def _imbalance(case: Case) -> Floats:
    for names in PAIRS:
        buyers, others = (case.market.column(name) for name in names)
        if buyers is not None and others is not None:
            return buyers - others
    raise CannotTellError("the examples have no volumes of buyers and sellers")


def _toxicity(case: Case, size: Floats) -> Floats:
    """The trailing mean of the sizes over each symbol's own decisions (N)."""
    found = np.zeros(len(size))
    for symbol in np.unique(case.market.symbol):
        rows = np.flatnonzero(case.market.symbol == symbol)
        rows = rows[np.argsort(case.market.at[rows], kind="stable")]
        total = np.append(0.0, size[rows].cumsum())
        first = np.maximum(np.arange(len(rows)) + 1 - BUCKETS, 0)
        found[rows] = (total[1:] - total[first]) / (np.arange(len(rows)) + 1 - first)
    return found
