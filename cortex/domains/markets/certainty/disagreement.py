"""Epistemic and aleatoric uncertainty: the contenders' disagreement, and the doubt that they share.

Depeweg et al. 2018, "Decomposition of uncertainty in Bayesian deep learning", for squared errors: the variance of an
outcome, m (1 - m) with m the mean of K probabilities, is the mean of p (1 - p), which no more knowledge would remove,
and the variance of p among the contenders, which more would.
"""

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept
from cortex.evaluation.grades import Floats

MEMBERS = 3
"""Contenders whose forecasts differ, at least."""


def keep_agreed(case: Case) -> Kept:
    """Keep where the contenders disagree less than usual, by the median of the past."""
    members = _members(case)
    return _below_usual(case, members.var(axis=0), f"disagreement of {len(members)} contenders")


def keep_sure(case: Case) -> Kept:
    """Keep where the doubt that the contenders share is less than usual, by the median of the past."""
    members = _members(case)
    return _below_usual(case, (members * (1 - members)).mean(axis=0), f"doubt of {len(members)} contenders")


def _members(case: Case) -> Floats:
    """The probabilities of contenders that do not always say the same (K x N)."""
    members = [rival.p_up for rival in case.rivals.values() if np.ptp(rival.p_up) > 0]
    if len(members) < MEMBERS:
        raise CannotTellError(f"{len(members)} contenders state different probabilities, and {MEMBERS} are needed")
    return np.array(members)


def _below_usual(case: Case, doubt: Floats, words: str) -> Kept:
    keep = case.no_decision()
    for step in case.steps:
        keep[step.now] = doubt[step.now] <= np.median(doubt[step.past])
    return Kept(keep, f"{words}: {np.median(doubt):.4f}")
