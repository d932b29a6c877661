"""Adaptive conformal inference: the level follows the misses of the past, so that coverage survives a shift.

Gibbs and Candès 2021, "Adaptive conformal inference under distribution shift": after each date whose outcomes became
known, level += GAMMA (target - share of misses).
"""

from bisect import insort

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Replaced
from cortex.domains.markets.certainty.conformal import MINIMUM_ROWS, half_width
from cortex.domains.markets.forecasts import INTERVAL_LEVEL
from cortex.evaluation.grades import Floats

GAMMA = 0.01
LEVELS = (0.005, 0.5)
"""Bounds of the level. At 0 the paper's interval is the whole line, which says nothing and has no score."""


def adaptive_intervals(case: Case) -> Replaced:
    """Replace intervals, date by date."""
    scale = half_width(case)
    threshold = thresholds(case, np.abs(case.market.outcome - case.expected) / scale)
    if np.isnan(threshold).all():
        raise CannotTellError(f"fewer than {MINIMUM_ROWS} outcomes were known at any date")
    reach = threshold * scale
    return Replaced(case.expected - reach, case.expected + reach)


def thresholds(case: Case, score: Floats) -> Floats:
    """The score that the interval of each forecast reaches to (N); NaN while too few outcomes are known."""
    market, target = case.market, 1 - INTERVAL_LEVEL
    rows = np.split(np.argsort(market.date, kind="stable"), np.bincount(market.date).cumsum()[:-1])
    found, level, pool, learned = np.full(len(score), np.nan), target, list[float](), 0
    for of_date in rows:
        now = market.at[of_date[0]]
        while market.known_at[rows[learned]].max() <= now:
            known = rows[learned]
            used = found[known[0]]
            if not np.isnan(used):
                level = float(np.clip(level + GAMMA * (target - np.mean(score[known] > used)), *LEVELS))
            for value in score[known].tolist():
                insort(pool, value)
            learned += 1
        if len(pool) >= MINIMUM_ROWS:
            # The finite-sample rank of split conformal prediction.
            rank = min(len(pool), int(np.ceil((1 - level) * (len(pool) + 1))))
            found[of_date] = pool[rank - 1]
    return found
