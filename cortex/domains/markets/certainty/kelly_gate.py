"""Kelly's fraction with an uncertain edge: nothing is staked where the interval of the hit rate includes no edge.

Kelly 1956, "A new interpretation of information rate"; the fraction is shrunk as in Baker and McHale 2013, "Optimal
betting under parameter uncertainty: improving the Kelly criterion". Bayesian sizing: the hit rate of forecasts of a
like strength is a Beta posterior of the known outcomes, in which each date counts once, as its symbols hit together.
"""

import numpy as np
from scipy.special import betaincinv

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import Kept
from cortex.domains.markets.certainty.walk_forward import Step
from cortex.domains.markets.outcomes import rise
from cortex.evaluation.grades import Floats

STRENGTHS = 3
"""Groups of forecasts by the distance of the probability from one half."""

LOWER = 0.05
"""The interval of a hit rate begins at this quantile."""

LARGEST = 0.99
"""A whole stake can be lost, whose logarithm is no number."""


def keep_with_stake(case: Case) -> Kept:
    """Keep where the stake is above 0. The measurement is the growth at even odds, against stakes by the model."""
    up, side = rise(case.market.outcome), np.sign(case.p_up - 0.5)
    hit = np.where(side == 0, 0.5, np.where(side > 0, up, 1 - up))
    stake = np.zeros(len(hit))
    for step in case.steps:
        stake[step.now] = _stakes(case, step, hit)
    judged = np.concatenate([step.now for step in case.steps])
    stated = np.minimum(2 * np.abs(case.p_up - 0.5), LARGEST)
    shrunk, full = (_growth(each[judged], hit[judged]) for each in (stake, stated))
    return Kept(stake > 0, f"growth of a stake {shrunk:+.3%}, and {full:+.3%} by the stated probabilities")


def _stakes(case: Case, step: Step, hit: Floats) -> Floats:
    """The fractions of the step's forecasts: of the posterior's edge m with deviation s, m^3 / (m^2 + s^2) or 0."""
    strength = np.abs(case.p_up - 0.5)
    edges = np.quantile(strength[step.past], np.linspace(0, 1, STRENGTHS + 1)[1:-1])
    group, found = np.searchsorted(edges, strength), np.zeros(len(step.now))
    for one in range(STRENGTHS):
        known = step.past[group[step.past] == one]
        dates = len(np.unique(case.market.date[known]))
        if not dates:
            continue
        hits = dates * float(hit[known].mean())
        wins, losses = 1 + hits, 1 + dates - hits
        if betaincinv(wins, losses, LOWER) <= 0.5:
            continue
        total = wins + losses
        edge, variance = 2 * wins / total - 1, 4 * wins * losses / (total**2 * (total + 1))
        found[group[step.now] == one] = edge**3 / (edge**2 + variance)
    return found


def _growth(stake: Floats, hit: Floats) -> float:
    """The mean logarithm of what a stake at even odds becomes."""
    return float(np.log1p(stake * (2 * hit - 1)).mean())
