"""A second replay, for one trace and in plain Python, to compare with; and traces from hypothesis."""

import math

import numpy as np

from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.policies import IDLE, LEAVE, ON_DEMAND, SPOT, Policy, View
from cortex.fleet.estimate.replay import PATIENCE
from cortex.fleet.estimate.traces import Trace, Windows


def one_window(up: list[bool], tick: float = 60.0) -> Windows:
    """One replay that starts with the trace."""
    cell = np.zeros((1, 1), dtype=np.intp)
    return Windows(tick, np.array(up), cell, cell + len(up), cell)


def trace(up: list[bool], tick: float = 60.0, name: str = "zone") -> Trace:
    return Trace(name, tick, np.array(up))


def by_hand(job: Job, policy: Policy, up: list[bool], tick: float = 60.0) -> tuple[float, float, int, float]:
    """Seconds, dollars, preemptions and lost seconds of one job in one zone."""
    kind, done, saved, boot, dollars, lost, preemptions = IDLE, 0.0, 0.0, 0.0, 0.0, 0.0, 0
    asked = spot_until = 0.0
    price = {IDLE: 0.0, SPOT: job.spot / 3600, ON_DEMAND: job.on_demand / 3600}
    for number in range(math.ceil(PATIENCE * job.deadline / tick) + 1):
        now, here = number * tick, up[number % len(up)]
        if kind == SPOT and not here:
            preemptions += 1
            lost += done - saved
            done, kind = saved, IDLE
        view = View(
            job,
            tick,
            job.deadline - now,
            np.array([job.total - done]),
            np.array([job.total - saved]),
            np.array([kind], dtype=np.int8),
            np.array([here]),
            np.array([now - asked]),
            np.array([now - spot_until]),
        )
        want = int(policy.choose(view)[0])
        if want == LEAVE:
            kind, want = IDLE, SPOT if here else ON_DEMAND
        if want != kind:
            kind, saved, boot, asked = want, done, job.restart, now
        if kind == SPOT:
            spot_until = now + tick
        if kind == IDLE:
            continue
        needed = boot + job.total - done
        used = min(needed, tick)
        work = max(used - boot, 0.0)
        boot -= used - work
        done += work
        saved = max(saved, done // job.stretch * job.stretch)
        dollars += used * price[kind]
        if needed <= tick:
            return now + needed, dollars, preemptions, lost
    return math.inf, dollars, preemptions, lost
