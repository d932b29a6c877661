"""How often to save: what formulas say, and what replays say."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cortex.fleet.forecast.job import Job
from cortex.fleet.forecast.policies import SpotOnly
from cortex.fleet.forecast.replay import Outcomes, replay
from cortex.fleet.forecast.traces import Trace, Windows

TRIED: Final = tuple(60.0 * minutes for minutes in (2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 120, 180, 240))
"""Seconds between checkpoints that are replayed."""


@dataclass(frozen=True)
class Intervals:
    """Seconds of work between checkpoints."""

    between_preemptions: float
    """Mean seconds that a machine lasts; infinite where none is ever taken."""
    young: float
    daly: float
    simulated: float | None
    """The one of `TRIED` with which the replays paid for the fewest machine hours; None where they did not end."""
    waste: float | None
    """The share of the machine hours that is not work, there."""


def young(between: float, save: float) -> float:
    """The interval that wastes least, to first order: sqrt(2 save x mean time between failures).

    Source: Young, "A first order approximation to the optimum checkpoint interval" (CACM 17(9), 1974).
    """
    return math.sqrt(2 * save * between) if save else 0.0


def daly(between: float, save: float) -> float:
    """The same to a higher order; with a save longer than twice the mean time, the mean time itself.

    Source: Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps" (FGCS 22(3), 2006).
    """
    if not save or math.isinf(between):
        return young(between, save)
    if save >= 2 * between:
        return between
    ratio = save / (2 * between)
    return young(between, save) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - save


def mean_between(traces: Iterable[Trace]) -> float:
    """Mean seconds for which a spot machine lasts: time up, over the times that up was followed by down."""
    up = taken = 0.0
    for trace in traces:
        up += trace.tick * float(trace.up.sum())
        taken += float((trace.up[:-1] & ~trace.up[1:]).sum())
    return up / taken if taken else math.inf


def best_interval(job: Job, places: Sequence[Windows], between: float, replays: int) -> Intervals:
    """The formulas' intervals, and the cheapest in replays of the job on spot machines alone."""
    # Where it is saved often the deadline may be too short; here it does not matter when the job ends.
    late = [replace(job, interval=tried, deadline=max(job.deadline, _shortest(job, tried))) for tried in TRIED]
    cases = [(case, SpotOnly()) for case in late]
    share = replays / sum(place.replays for place in places)
    parts = [replay(cases, place.first(max(1, round(share * place.replays)))) for place in places]
    outcomes = [Outcomes.joined(alike) for alike in zip(*parts, strict=True)]
    ended = np.all([np.isfinite(outcome.seconds) for outcome in outcomes], axis=0)
    # Whoever was given up has paid for less than the whole: if nobody is left, nothing can be said.
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
