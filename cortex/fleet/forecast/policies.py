"""When to run on which kind of machine. A policy sees the present alone, and is asked at the start of every tick.

No deadline is missed by whoever goes without an on-demand machine only while, if the tick went by in vain, one could
still start and compute all that is not saved (`View.safe`). This is the safety net of "Can't Be Late" (Wu et al.,
NSDI 2024), with what is lost since the last checkpoint counted in.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.forecast.job import Job
from cortex.runs.deadline import Outlook, leaves, net

IDLE: Final = 0
SPOT: Final = 1
ON_DEMAND: Final = 2
LEAVE: Final = 3
"""Give the machine up for what SkyPilot has then: spot if it is to be had, else on-demand once more."""

Kinds = NDArray[np.int8]
"""replays: one of the four above."""


@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees. Arrays: replays."""

    job: Job
    tick: float
    """Seconds until it is asked again."""
    left: float
    """Seconds until the deadline."""
    need: NDArray[np.float64]
    """Machine seconds that are still to be computed."""
    need_saved: NDArray[np.float64]
    """The same if the machine were lost now: from the last checkpoint on."""
    kind: Kinds
    """What runs."""
    spot: NDArray[np.bool_]
    """Whether a spot machine is to be had, or kept."""
    running: NDArray[np.float64]
    """Seconds since the machine that runs was asked for."""
    outage: NDArray[np.float64]
    """Seconds since a spot machine ran last, or since the start."""

    @property
    def slack(self) -> NDArray[np.float64]:
        """Seconds that could go by in vain, and an on-demand machine started then would be in time."""
        return self.left - self.need_saved - self.job.restart

    @property
    def safe(self) -> NDArray[np.bool_]:
        """Whether this tick could go by in vain."""
        return self.slack >= self.tick


class Policy(Protocol):
    """Says what to run."""

    @property
    def name(self) -> str: ...

    def choose(self, view: View) -> Kinds: ...


@dataclass(frozen=True)
class SpotOnly:
    """Spot whenever it is to be had, however late it gets."""

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
    """On-demand, where there is no spot, while the job is behind an even pace: the policy of "Can't Be Late".

    Once on-demand runs without spot it is kept until the job is two restarts ahead.
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
    """Spot with a switch to on-demand, which waits for spot while it can, and sees when spot is back.

    No run does so: nothing of a run is there while SkyPilot waits, and no machine sees whether spot is back. It shows
    what both would be worth. It keeps a reserve of slack, so that it can come back to spot.

    Waiting costs slack second by second, each change of machines a restart. So outages are waited out while there is
    more than the reserve, and bridged with on-demand machines once there is not; from these it goes back to spot while
    it can afford to have gone in vain. The reserve pays for these changes.
    """

    name: str = "with waiting"
    reserve: float = 0.25
    """The share of the slack at the start that it keeps; the best of a few that were tried on the published traces."""
    back: float = 2.0
    """Restarts that a change back to spot may cost: its own, and that of the return."""

    def choose(self, view: View) -> Kinds:
        job, restart = view.job, view.job.restart
        spare = view.slack - view.tick
        bridging = view.kind == ON_DEMAND
        stay = bridging & (spare < self.back * restart)
        bridge = ~view.spot & (spare < self.reserve * (job.deadline - job.shortest))
        return _kinds(~view.safe | stay | bridge, view.spot)


@dataclass(frozen=True)
class Deadline:
    """What a run with a deadline does: spot first, on demand where there is none, and back by tries that it can afford.

    Its rule is that of the run's own machines (`cortex.runs.deadline`), which see no more of spot than what they are
    given. With too little slack for any risk, the run is on demand from the start.
    """

    name: str = "spot, then on-demand"

    def choose(self, view: View) -> Kinds:
        job = view.job
        if job.deadline - job.shortest < net(job.restart, job.stretch):
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
        return np.where(bridging & leaves(outlook), np.int8(LEAVE), _kinds(bridging | ~view.spot, view.spot))


def _kinds(on_demand: NDArray[np.bool_], spot: NDArray[np.bool_]) -> Kinds:
    return np.where(on_demand, np.int8(ON_DEMAND), spot.astype(np.int8))
