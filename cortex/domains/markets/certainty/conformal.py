"""Split conformal prediction: intervals and directions whose errors are bounded where past and future are alike.

Papadopoulos, Proedrou, Vovk, Gammerman 2002, "Inductive confidence machines for regression"; the residuals are
normalised by the stated width. Directions: Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random world".
"""

import numpy as np
from crepes import ConformalClassifier, ConformalRegressor

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, Replaced, refusing_warnings
from cortex.domains.markets.forecasts import INTERVAL_LEVEL
from cortex.evaluation.grades import Bools, Floats

MINIMUM_ROWS = 50
"""Known outcomes below which a tail of 5% is two of them at most."""

DIRECTION_LEVEL = 0.8
"""Share of outcomes that the set of directions shall contain. A set of one direction is kept."""


def split_intervals(case: Case) -> Replaced:
    """Replace intervals by those that would have covered 90% of the known outcomes."""
    residual, scale = case.market.outcome - case.expected, half_width(case)
    ends = np.full((len(scale), 2), np.nan)
    for step in case.steps:
        past, now = check_past(step.past), step.now
        with refusing_warnings("crepes"):
            model = ConformalRegressor().fit(residual[past], sigmas=scale[past])
            ends[now] = model.predict_int(case.expected[now], sigmas=scale[now], confidence=INTERVAL_LEVEL)
    return Replaced(ends[:, 0], ends[:, 1])


def keep_one_direction(case: Case) -> Kept:
    """Keep a forecast where one direction alone is as likely as those that came true before."""
    keep, up = case.no_decision(), case.market.outcome > 0
    strangeness = np.column_stack([case.p_up, 1 - case.p_up])  # of a fall and of a rise: lower is likelier
    came = strangeness[np.arange(len(up)), up.astype(np.intp)]
    for step in case.steps:
        past = check_past(step.past[case.market.outcome[step.past] != 0])
        with refusing_warnings("crepes"):
            model = ConformalClassifier().fit(came[past])
            sets = model.predict_set(strangeness[step.now], confidence=DIRECTION_LEVEL, smoothing=False)
        keep[step.now] = _is_single(np.asarray(sets))
    return Kept(keep)


def half_width(case: Case) -> Floats:
    """Half of the stated widths, at least a hundredth of the usual one (N)."""
    width = (case.high - case.low) / 2
    return np.maximum(width, max(float(np.median(width)) / 100, 1e-9))


def check_past(past: np.ndarray) -> np.ndarray:
    """The rows, refused with CannotTellError where they are too few to calibrate by."""
    if len(past) < MINIMUM_ROWS:
        raise CannotTellError(f"{len(past)} outcomes were known, and {MINIMUM_ROWS} are needed")
    return past


def _is_single(sets: np.ndarray) -> Bools:
    return sets.sum(axis=1) == 1
