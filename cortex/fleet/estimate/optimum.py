"""The optimum in hindsight: the cheapest schedule for a planner who knows each trace in full, and never loses work."""

import math

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.traces import Bools, Windows

STATES = 20_000
"""Most values of the remaining machine time that are told apart."""
CACHE = 1 << 16
"""Numbers in the arrays of one batch of replays, so that they fit into a processor's cache."""


def optimum(job: Job, windows: Windows) -> NDArray[np.float64]:
    """Least dollars with which the job ends by its deadline, by dynamic programming backwards over ticks.

    Returns an array of the shape `replays`. The state is what runs (nothing, on-demand, spot in one of the zones) and
    the machine seconds that are still to be paid for. A start adds the restart time to these. That overcharges a
    machine that is left before it computes, which is never worth it in hindsight. No work is lost, since a planner who
    knows the future saves in time.

    The result is exact where the job's times have a common divisor (in milliseconds) that makes few enough states.
    Otherwise work and restarts are rounded down to a part of a tick, and the deadline up: the result is a lower bound.
    """
    times = [round(value * 1000) for value in (windows.tick, job.total, job.restart, job.deadline % windows.tick)]
    parts = times[0] // math.gcd(*times)
    if parts * job.shortest / windows.tick > STATES:
        parts = max(1, int(STATES * windows.tick / job.shortest))
    grain = windows.tick / parts
    # The tolerance keeps rounding errors of floating-point numbers from changing a whole number.
    total, restart = (math.floor(value / grain + 1e-6) for value in (job.total, job.restart))
    ticks, rest = divmod(math.ceil(job.deadline / grain - 1e-6), parts)
    lengths = [parts] * ticks + ([rest] if rest else [])
    up = windows.block(0, len(lengths))
    # Batches that fit into a processor's cache are several times as fast.
    together = max(1, CACHE // ((total + restart + 1) * (up.shape[1] + 1)))
    shares = [
        _least(job, lengths, up[:, :, first : first + together], grain, total, restart)
        for first in range(0, windows.replays, together)
    ]
    return np.concatenate(shares)


def _least(job: Job, lengths: list[int], up: Bools, grain: float, total: int, restart: int) -> NDArray[np.float64]:
    """Least dollars, of the shape `replays`; lengths, total and restart are in grains, the grain is in seconds."""
    zones, replays = up.shape[1:]
    size = total + restart + 1
    prices = np.array([job.spot] * zones + [job.on_demand]) / 3600 * grain
    left = np.arange(size, dtype=float)
    # Least cost from here on by what is left, with nothing running and with each kind; infinite where not possible.
    best = np.full((replays, zones + 1, size), np.inf)
    best[:, :, 0] = 0
    idle = best[:, 0].copy()
    ran, fresh = np.empty_like(best), np.empty_like(idle)
    for step, here in zip(reversed(lengths), up[len(lengths) - 1 :: -1], strict=True):
        ran[:, :, step:] = best[:, :, : size - step]
        ran[:, :, :step] = 0
        ran += prices[:, None] * np.minimum(left, step)
        ran[:, :zones][~here.T] = np.inf
        fresh[:, : size - restart] = ran[:, :, restart:].min(axis=1)
        fresh[:, size - restart :] = np.inf
        fresh[:, 0] = 0
        np.minimum(idle, fresh, out=idle)
        np.minimum(ran, idle[:, None], out=best)
    return idle[:, total]
