"""Information coefficients: rank correlation of forecasts and returns over the symbols of a date, and its steadiness.

Grinold and Kahn 1999, "Active portfolio management", ch. 6; the ICIR is the mean of the dates' rank ICs over their
standard deviation.
"""

import numpy as np
from scipy.stats import rankdata

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept
from cortex.domains.markets.certainty.walk_forward import Rows
from cortex.evaluation.grades import Floats

SYMBOLS = 5
"""Symbols of a date below which a rank correlation is mostly chance."""

DATES = 30
WINDOW = 60
"""Dates, the latest, that the ICIR is of."""


def keep_with_information(case: Case) -> Kept:
    """Keep while the mean rank IC of the known dates of a trailing window is above 0."""
    ranked = rank_coefficients(case)
    dated = np.flatnonzero(~np.isnan(ranked))
    if len(dated) < DATES:
        raise CannotTellError(
            f"{len(dated)} dates have {SYMBOLS} symbols with different forecasts, and {DATES} are needed"
        )
    keep = case.no_decision()
    for step in case.steps:
        recent = _recent(ranked, case.market.date[step.past])
        keep[step.now] = len(recent) > 1 and recent.mean() > 0
    usual, spread = float(ranked[dated].mean()), float(ranked[dated].std(ddof=1))
    ratio = usual / spread if spread > 0 else 0.0
    return Kept(keep, f"rank IC {usual:+.3f}, ICIR {ratio:+.2f} over {len(dated)} dates")


def rank_coefficients(case: Case) -> Floats:
    """Spearman's correlation of probability and return at each date; NaN where it has too few symbols, or no ranks."""
    date = case.market.date
    rows = np.split(np.argsort(date, kind="stable"), np.bincount(date).cumsum()[:-1])
    return np.array([_spearman(case.p_up[of], case.market.outcome[of]) for of in rows])


def _spearman(first: Floats, second: Floats) -> float:
    if len(first) < SYMBOLS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _recent(ranked: Floats, dates: Rows) -> Floats:
    known = ranked[np.unique(dates)]
    return known[~np.isnan(known)][-WINDOW:]
