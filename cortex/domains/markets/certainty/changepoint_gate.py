"""Changepoints of the known edge, found offline in the past alone: a broken model is left alone.

Killick, Fearnhead, Eckley 2012, "Optimal detection of changepoints with a linear computational cost"; Truong, Oudre,
Vayatis 2020, "Selective review of offline change point detection methods".
"""

import math

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import Kept, refusing_warnings
from cortex.evaluation.grades import Floats

SHORTEST = 5
"""Dates of a segment, at least."""

PENALTY = 3.0
"""Times log(n), in units of the variance: a little above the 2 of Schwarz's criterion for a mean and a place."""


def keep_since_change(case: Case) -> Kept:
    """Keep while the mean edge since the last change of the known dates is above 0."""
    keep, changes = case.no_decision(), 0
    for step in case.steps:
        edge = case.market.daily(case.edge, step.past)
        segments = find_segments(edge)
        keep[step.now] = edge[segments[-2] if len(segments) > 1 else 0 :].mean() > 0
        changes = len(segments) - 1
    return Kept(keep, f"{changes} changes found in the end")


def find_segments(values: Floats) -> list[int]:
    """The ends of segments of constant mean, the last of which is the number of values."""
    spread = noise(values)
    if len(values) < 2 * SHORTEST or spread == 0:
        return [len(values)]
    import ruptures

    with refusing_warnings("ruptures"):
        model = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(values[:, np.newaxis] / spread)
        ends: list[int] = model.predict(pen=PENALTY * math.log(len(values)))  # pyright: ignore[reportAssignmentType]
        return [int(end) for end in ends]


def noise(values: Floats) -> float:
    """The standard deviation around a mean that may change: of differences, by their median."""
    return float(np.median(np.abs(np.diff(values))) / (0.6745 * math.sqrt(2))) if len(values) > 1 else 0.0
