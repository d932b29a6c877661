"""The cheapest that hindsight could have done: who knows each trace to its end, and never loses work."""

import math

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.forecast.job import Job
from cortex.fleet.forecast.traces import Bools, Windows

CACHE = 1 << 16
"""Numbers that are worked on together."""


def optimum(job: Job, windows: Windows) -> NDArray[np.float64]:
    """replays: the least dollars with which the job ends by its deadline, exactly, by dynamic programming backwards.

    The state is what runs (nothing, on-demand, spot in one of the zones) and how many machine seconds are still to
    be paid for, restarts among them. A start adds the restart time to these. (To leave a machine before it computes
    would be counted too dearly; it is never worth it in hindsight.) The grid of the seconds is their common divisor,
    so nothing is rounded once the job's times are whole seconds.
    """
    tick, total, restart, deadline = (
        round(value * 1000) for value in (windows.tick, job.total, job.restart, job.deadline)
    )
    ticks, rest = divmod(deadline, tick)
    grain = math.gcd(tick, total, restart, rest)
    lengths = [tick // grain] * ticks + ([rest // grain] if rest else [])
    up = windows.block(0, len(lengths))
    size = (total + restart) // grain + 1
    # What fits into a processor's cache goes several times as fast.
    together = max(1, CACHE // (size * (len(up[0]) + 1)))
    parts = [
        _least(job, lengths, up[:, :, first : first + together], grain, total // grain, restart // grain)
        for first in range(0, windows.replays, together)
    ]
    return np.concatenate(parts)


def _least(job: Job, lengths: list[int], up: Bools, grain: int, total: int, restart: int) -> NDArray[np.float64]:
    """replays: the least dollars; lengths, total and restart in grains, the grain in milliseconds."""
    zones, replays = up.shape[1:]
    size = total + restart + 1
    prices = np.array([job.spot] * zones + [job.on_demand]) / 3.6e6 * grain
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
