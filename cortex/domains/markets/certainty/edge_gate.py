"""The edge test: probability that the forecasts are better than the base rate's, by the known outcomes.

Diebold and Mariano 1995, "Comparing predictive accuracy", with the variance of Newey and West 1987.
"""

import math

import numpy as np
from scipy.special import stdtr

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import Kept, refusing_warnings
from cortex.evaluation.grades import Floats

SURE = 0.9
"""Probability of an edge from which on forecasts are kept."""

DATES = 20


def keep_with_edge(case: Case) -> Kept:
    """Keep while an edge is at least 90% probable."""
    keep, probable = case.no_decision(), 0.0
    for step in case.steps:
        probable = probability_of_edge(case.market.daily(case.edge, step.past), case.market.span)
        keep[step.now] = probable >= SURE
    return Kept(keep, f"probability {probable:.1%} of an edge in the end")


def probability_of_edge(edge: Floats, span: int) -> float:
    """One less the one-sided p value of a mean above 0, by the edges of D dates; one half where they are too few."""
    count = len(edge)
    if count < DATES or np.ptp(edge) == 0:
        return 0.5
    from statsmodels.regression.linear_model import OLS

    lags = max(span - 1, math.floor(4 * (count / 100) ** (2 / 9)))  # the second is Newey's and West's of 1994
    with refusing_warnings("statsmodels"):
        fit = OLS(edge, np.ones(count)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
        return float(stdtr(count - 1, fit.tvalues[0]))
