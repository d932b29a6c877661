"""The rule by which a run with a deadline uses spot machines: the forecast replays it, and a run's machine goes by it.

SkyPilot takes the first machine of a task's list that can be had: spot, and, where there is none, one on demand at
once. So nobody waits, and the one decision left is that of a machine on demand: to stay, or to be left for what the
list then gives, which may be on demand again. A start costs money and slack, and nobody can tell beforehand whether
spot is back. So tries are spaced by the length of the outage, which has no typical length: most are short, some last
for days. A machine on spot is never left: the list would begin with spot again.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Number = TypeVar("Number", float, "NDArray[np.float64]")

NET = 4.0
"""Restarts of slack, besides the work between two checkpoints, without which no machine is risked. A change may cost
two: the start of a spot machine that is taken before it has saved anything, and the start of the one after it. Two more
are for another that is taken in the same way."""

PACE = 4.0
"""Restarts for which a machine on demand runs at least: a try in vain costs one, so tries cost a quarter at most."""

SHARE = 0.5
"""The part of the outage before it for which it runs at least, too. With `PACE` the best of some pairs that were tried
on the published traces: half or twice of either makes a difference of 1%."""


@dataclass(frozen=True, slots=True)
class Outlook(Generic[Number]):
    """A machine on demand, and what is still to be done: of one run, or of many at once. Seconds; dollars an hour."""

    left: Number
    """Until the deadline."""
    need: Number
    """Of work that is still to be computed."""
    here: Number
    """Of which on this machine, if it stays: what comes after begins at the top of a list of its own."""
    running: Number
    """Since the machine was asked for."""
    outage: Number
    """Since a spot machine ran last, or since the launch."""
    restart: float
    """From the asking for a machine until it computes."""
    stretch: float
    """Of work from one checkpoint to the next, and of the saving."""
    spot: float
    on_demand: float


def net(restart: float, stretch: float) -> float:
    """Seconds of slack that are never risked."""
    return NET * restart + stretch


def affordable(outlook: Outlook[Number]) -> Any:
    """True, or an array of it, where the deadline holds although the machine is left in vain."""
    return outlook.left - outlook.need >= net(outlook.restart, outlook.stretch)


def worthwhile(outlook: Outlook[Number]) -> Any:
    """True, or an array of it, where leaving is cheaper if chances are even: what is left to do is dear enough."""
    saving = outlook.on_demand - outlook.spot
    return outlook.here * saving > outlook.restart * (outlook.on_demand + outlook.spot)


def due(outlook: Outlook[Number]) -> Any:
    """True, or an array of it, where the machine has run for long enough to ask again whether spot is back."""
    before = outlook.outage - outlook.running
    return (outlook.running >= PACE * outlook.restart) & (outlook.running >= SHARE * before)


def leaves(outlook: Outlook[Number]) -> Any:
    """True, or an array of it, where the machine on demand is to be left for what SkyPilot has now, spot first."""
    return affordable(outlook) & worthwhile(outlook) & due(outlook)
