"""The best checkpoint interval, by formulas and by replays."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.policies import SpotOnly
from cortex.fleet.estimate.replay import Outcomes, replay
from cortex.fleet.estimate.traces import Trace, Windows

TRIED: Final = tuple(60.0 * minutes for minutes in (2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 120, 180, 240))
"""Checkpoint intervals in seconds that are tried in replays."""


@dataclass(frozen=True)
class Intervals:
    """Checkpoint intervals, in seconds of work, by several methods."""

    between_preemptions: float
    """Mean seconds from a machine's start to its preemption; infinite where none is preempted."""
    young: float
    daly: float
    simulated: float | None
    """The interval of `TRIED` with which the replays paid for the fewest machine hours; None where none ended."""
    waste: float | None
    """Share of the machine hours, with that interval, that is not work."""


def young(between: float, save: float) -> float:
    """The interval that wastes least, to first order: sqrt(2 x save x mean time between failures).

    Source: Young, "A first order approximation to the optimum checkpoint interval" (CACM 17(9), 1974).
    """
    return math.sqrt(2 * save * between) if save else 0.0


def daly(between: float, save: float) -> float:
    """The interval that wastes least, to a higher order; the mean time itself if a save takes twice as long or more.

    Source: Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps" (FGCS 22(3), 2006).
    """
    if not save or math.isinf(between):
        return young(between, save)
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return young(between, save) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def mean_between(traces: Iterable[Trace]) -> float:
    """Mean seconds that a spot machine lasts: the time up, divided by the number of changes from up to down."""
    up = taken = 0.0
    for trace in traces:
        up += trace.tick * float(trace.up.sum())
        taken += float((trace.up[:-1] & ~trace.up[1:]).sum())
    return up / taken if taken else math.inf


def best_interval(job: Job, places: Sequence[Windows], between: float, replays: int) -> Intervals:
    """The formulas' intervals, and the cheapest in replays of the job on spot machines alone."""
    # With frequent saves the deadline may be too short for the job; it does not matter here, so it is extended.
    late = [replace(job, interval=tried, deadline=max(job.deadline, _shortest(job, tried))) for tried in TRIED]
    cases = [(case, SpotOnly()) for case in late]
    share = replays / sum(place.replays for place in places)
    parts = [replay(cases, place.first(max(1, round(share * place.replays)))) for place in places]
    outcomes = [Outcomes.joined(alike) for alike in zip(*parts, strict=True)]
    ended = np.all([np.isfinite(outcome.seconds) for outcome in outcomes], axis=0)
    # Replays that gave up paid for only part of the job, so only those that ended with every interval are compared.
    hours = [
        float((outcome.dollars / job.spot)[ended].mean()) if ended.any() and job.spot else math.inf
        for outcome in outcomes
    ]
    best = int(np.argmin(hours))
    return Intervals(
        between_preemptions=between,
        young=young(between, job.save),
        daly=daly(between, job.save),
        simulated=TRIED[best] if math.isfinite(hours[best]) else None,
        waste=1 - job.work / 3600 / hours[best] if math.isfinite(hours[best]) else None,
    )


def _shortest(job: Job, interval: float) -> float:
    return job.restart + job.work * (1 + job.save / interval)
