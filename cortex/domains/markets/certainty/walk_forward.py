"""Steps of a walk through the test period: what was known before each, and the forecasts that it decides about."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
"""Microseconds since 1970."""
Rows = NDArray[np.intp]

WARM_UP = 0.3
"""Share of the decision dates, the earliest, by which gates are calibrated before the first forecast to judge."""

STEPS = 20
"""Steps in which the rest is walked through: a gate is calibrated anew at the start of each."""


@dataclass(frozen=True, eq=False)
class Step:
    past: Rows
    """Rows whose outcomes were known at the step's first decision, in the order of their decisions."""
    now: Rows
    """Rows to decide about, in the same order."""


def walk(at: Times, known_at: Times) -> tuple[Step, ...]:
    """The steps through N forecasts, made at `at`, whose outcomes became known at `known_at`.

    An outcome that reaches beyond the start of a step is no part of its past (purging; López de Prado 2018, "Advances
    in Financial Machine Learning", ch. 7).
    """
    dates, order = np.unique(at), np.argsort(at, kind="stable")
    later = dates[math.ceil(WARM_UP * len(dates)) :]
    if not len(later):
        return ()
    return tuple(
        Step(order[known_at[order] <= part[0]], order[(at[order] >= part[0]) & (at[order] <= part[-1])])
        for part in np.array_split(later, min(STEPS, len(later)))
    )
