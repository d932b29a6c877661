"""The cheapest that hindsight could have done: who knows each trace to its end, and never loses work."""

import math

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.forecast.job import Job
from cortex.fleet.forecast.traces import Bools, Windows

STATES = 20_000
"""Of how much is left, at most."""
CACHE = 1 << 16
"""Numbers that are worked on together."""


def optimum(job: Job, windows: Windows) -> NDArray[np.float64]:
    """replays: the least dollars with which the job ends by its deadline, by dynamic programming backwards over ticks.

    The state is what runs (nothing, on-demand, spot in one of the zones) and how many machine seconds are still to be
    paid for. A start adds the restart time to these: to leave a machine before it computes would be counted too dearly,
    and is never worth it in hindsight. No work is lost, since who knows the future has saved in time.

    Exact where the job's times have a common divisor (in milliseconds) that makes few enough states; else work and
    restarts are rounded down to a part of a tick, and the deadline up: a little less than the least.
    """
    times = [round(value * 1000) for value in (windows.tick, job.total, job.restart, job.deadline % windows.tick)]
    parts = times[0] // math.gcd(*times)
    if parts * job.shortest / windows.tick > STATES:
        parts = max(1, int(STATES * windows.tick / job.shortest))
    grain = windows.tick / parts
    # What is a whole number but for a floating-point number's last digits is one.
    total, restart = (math.floor(value / grain + 1e-6) for value in (job.total, job.restart))
    ticks, rest = divmod(math.ceil(job.deadline / grain - 1e-6), parts)
    lengths = [parts] * ticks + ([rest] if rest else [])
    up = windows.block(0, len(lengths))
    # What fits into a processor's cache goes several times as fast.
    together = max(1, CACHE // ((total + restart + 1) * (up.shape[1] + 1)))
    shares = [
        _least(job, lengths, up[:, :, first : first + together], grain, total, restart)
        for first in range(0, windows.replays, together)
    ]
    return np.concatenate(shares)


def _least(job: Job, lengths: list[int], up: Bools, grain: float, total: int, restart: int) -> NDArray[np.float64]:
    """replays: the least dollars; lengths, total and restart in grains, the grain in seconds."""
    zones, replays = up.shape[1:]
    size = total + restart + 1
    prices = np.array([job.spot] * zones + [job.on_demand]) / 3600 * grain
    left = np.arange(size, dtype=float)
    # What it costs from here, with nothing running and with each kind, by what is left: without end where it cannot be.
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
