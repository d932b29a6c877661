"""The rule by which a run with a deadline uses spot machines. The estimate simulates it; a run's machine follows it.

SkyPilot takes the first available machine of a task's list: spot, or, if there is none, one on demand at once. So no
job waits, and one decision is left to a machine on demand: to stay, or to be left for the machine that the list then
gives, which may be on demand again. A restart costs money and slack, and nobody knows beforehand whether spot is back.
So attempts are spaced by the length of the outage, which has no typical length: most are short, some last for days. A
machine on spot is never left: the list would begin with spot again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Number = TypeVar("Number", float, "NDArray[np.float64]")

NET = 4.0
"""The reserve of slack, in restarts, besides the work between two checkpoints; no machine is left with less. Leaving
one may cost two restarts: that of a spot machine that is preempted before it has saved anything, and that of the next
machine. Two more are for another machine that is lost in the same way."""

PACE = 4.0
"""Restarts for which a machine on demand runs at least: a failed attempt costs one, so attempts cost a quarter of the
time at most."""

SHARE = 0.5
"""The share of the outage before it for which such a machine also runs at least. With `PACE`, it is the best of some
pairs tried on the published traces; half or twice of either makes a difference of 1%."""


@dataclass(frozen=True, slots=True)
class Outlook(Generic[Number]):
    """The state of a machine on demand and its run, or of many at once. Times in seconds, prices in dollars an hour."""

    left: Number
    """Time until the deadline."""
    need: Number
    """Time that the remaining work takes."""
    here: Number
    """The part of `need` that this machine does, if it stays: later tasks begin at the top of their own lists."""
    running: Number
    """Time since the machine was requested."""
    outage: Number
    """Time since a spot machine ran last, or since the launch."""
    restart: float
    """Time from the request for a machine until it computes."""
    stretch: float
    """Time from one checkpoint to the next, with the saving."""
    spot: float
    on_demand: float


def reserve_seconds(restart: float, stretch: float) -> float:
    """Seconds of slack that are kept in reserve."""
    return NET * restart + stretch


def is_affordable(outlook: Outlook[Number]) -> Any:
    """True (or an array) where the deadline is met even if leaving the machine gains nothing."""
    return outlook.left - outlook.need >= reserve_seconds(outlook.restart, outlook.stretch)


def is_worthwhile(outlook: Outlook[Number]) -> Any:
    """True (or an array) where leaving saves money at even odds of getting spot: the work left here costs enough."""
    saving = outlook.on_demand - outlook.spot
    return outlook.here * saving > outlook.restart * (outlook.on_demand + outlook.spot)


def is_due(outlook: Outlook[Number]) -> Any:
    """True (or an array) where the machine has run for long enough to try spot again."""
    before = outlook.outage - outlook.running
    return (outlook.running >= PACE * outlook.restart) & (outlook.running >= SHARE * before)


def should_leave(outlook: Outlook[Number]) -> Any:
    """True (or an array) where the machine on demand should be left for the list's first available one, spot first."""
    return is_affordable(outlook) & is_worthwhile(outlook) & is_due(outlook)
