"""Policies that choose the kind of machine. A policy sees only the present, and is asked at the start of every tick.

A policy never misses the deadline if it does without an on-demand machine only while `View.safe` holds: if the coming
tick brings no progress, an on-demand machine could still start and compute all that is not saved. This is the safety
net of "Can't Be Late" (Wu et al., NSDI 2024), with the work lost since the last checkpoint counted, too.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.estimate.job import Job
from cortex.runs.deadline_rule import Outlook, reserve_seconds, should_leave

IDLE: Final = 0
SPOT: Final = 1
ON_DEMAND: Final = 2
LEAVE: Final = 3
"""Give up the on-demand machine, so that SkyPilot starts another: spot if available, else on-demand again."""

Kinds = NDArray[np.int8]
"""replays: one of the four above."""


@dataclass(frozen=True, slots=True)
class View:
    """The state that a policy sees. Arrays have the shape `replays`."""

    job: Job
    tick: float
    """Seconds until the policy is asked again."""
    left: float
    """Seconds until the deadline."""
    need: NDArray[np.float64]
    """Machine seconds that are still to be computed."""
    need_saved: NDArray[np.float64]
    """The same if the machine were lost now, and work continued from the last checkpoint."""
    kind: Kinds
    """The kind of machine that runs."""
    spot: NDArray[np.bool_]
    """True where a spot machine is available, or can be kept."""
    running: NDArray[np.float64]
    """Seconds since the running machine was requested."""
    outage: NDArray[np.float64]
    """Seconds since a spot machine ran last, or since the start."""

    @property
    def slack(self) -> NDArray[np.float64]:
        """Seconds that may pass without progress before an on-demand machine has to be started."""
        return self.left - self.need_saved - self.job.restart

    @property
    def safe(self) -> NDArray[np.bool_]:
        """True where this tick may pass without progress."""
        return self.slack >= self.tick


class Policy(Protocol):
    """Chooses the kind of machine to run."""

    @property
    def name(self) -> str: ...

    def choose(self, view: View) -> Kinds: ...


@dataclass(frozen=True)
class SpotOnly:
    """Spot whenever it is available, even if the deadline is missed."""

    name: str = "spot only"

    def choose(self, view: View) -> Kinds:
        return view.spot.astype(np.int8)


@dataclass(frozen=True)
class OnDemandOnly:
    """On-demand from the first second."""

    name: str = "on-demand"

    def choose(self, view: View) -> Kinds:
        return np.full(view.spot.shape, ON_DEMAND, dtype=np.int8)


@dataclass(frozen=True)
class Greedy:
    """Spot, or waiting, until it is no longer safe; then on-demand to the end."""

    name: str = "greedy"

    def choose(self, view: View) -> Kinds:
        return _kinds(~view.safe | (view.kind == ON_DEMAND), view.spot)


@dataclass(frozen=True)
class UniformProgress:
    """Spot where available; otherwise on-demand while the job is behind an even pace: the policy of "Can't Be Late".

    An on-demand machine is kept, while there is no spot, until the job is two restarts ahead of the pace.
    """

    name: str = "uniform progress"

    def choose(self, view: View) -> Kinds:
        job = view.job
        pace = job.total / job.deadline
        ahead = (job.total - view.need) - (job.deadline - view.left) * pace
        behind = ahead < np.where(view.kind == ON_DEMAND, 2 * job.restart * pace, 0.0)
        return _kinds(~view.safe | (behind & ~view.spot), view.spot)


@dataclass(frozen=True)
class Reserve:
    """Spot with a switch to on-demand, which waits for spot while it can, and sees when spot is available again.

    No real run can do this: while SkyPilot waits, no program of the run is at work, and no machine can see whether spot
    is available again. The policy shows what both abilities would be worth.

    Waiting costs slack second by second; each change of machines costs a restart. So the policy waits while the slack
    exceeds a reserve, and bridges outages with on-demand machines once it does not. From these it goes back to spot
    while it can afford a failed try. The reserve pays for these changes.
    """

    name: str = "with waiting"
    reserve: float = 0.25
    """Share of the initial slack kept as the reserve; the best of a few values tried on the published traces."""
    back: float = 2.0
    """Restarts that a try of spot may cost: its own, and that of the return to on-demand."""

    def choose(self, view: View) -> Kinds:
        job, restart = view.job, view.job.restart
        spare = view.slack - view.tick
        bridging = view.kind == ON_DEMAND
        stay = bridging & (spare < self.back * restart)
        bridge = ~view.spot & (spare < self.reserve * (job.deadline - job.shortest))
        return _kinds(~view.safe | stay | bridge, view.spot)


@dataclass(frozen=True)
class Deadline:
    """The policy of a run with a deadline: spot first, else on demand, and tries of spot while the slack allows them.

    The rule is the one that the run's own machines follow (`cortex.runs.deadline_rule`); they cannot see whether spot
    is available except by trying. With too little slack for any risk, the run is on demand from the start.
    """

    name: str = "spot, then on-demand"

    def choose(self, view: View) -> Kinds:
        job = view.job
        if job.deadline - job.shortest < reserve_seconds(job.restart, job.stretch):
            return np.full(view.spot.shape, ON_DEMAND, dtype=np.int8)
        outlook = Outlook(
            left=np.asarray(view.left),
            need=view.need,
            here=view.need,
            running=view.running,
            outage=view.outage,
            restart=job.restart,
            stretch=job.stretch,
            spot=job.spot,
            on_demand=job.on_demand,
        )
        bridging = view.kind == ON_DEMAND
        return np.where(bridging & should_leave(outlook), np.int8(LEAVE), _kinds(bridging | ~view.spot, view.spot))


def _kinds(on_demand: NDArray[np.bool_], spot: NDArray[np.bool_]) -> Kinds:
    return np.where(on_demand, np.int8(ON_DEMAND), spot.astype(np.int8))
