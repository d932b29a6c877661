"""Launches of a run, and the wall on those in a row that failed: computed from what was asked, asking nobody."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cortex.fleet.watch.rentals import Rental
from cortex.runs.events import CLOUDS_WORD
from cortex.runs.ledger import Entry
from cortex.runs.profile_sections import Budget

TOGETHER = 20.0
"""Seconds between the first and the last machine of one launch, which SkyPilot rents in a request or two; between two
launches in one place it waits for 36 s at least."""

_NOT_MACHINES = frozenset({"launching", "launched", "launch_failed", "stopped", "given_up", "teardown", "destroyed"})
"""Events that whoever launches and ends a run writes, not a machine of it."""


@dataclass(frozen=True)
class Launch:
    """Machines that were rented at once, to work together."""

    rentals: tuple[Rental, ...]

    @property
    def since(self) -> float:
        return min(rental.launched for rental in self.rentals)

    @property
    def standing(self) -> bool:
        return any(rental.standing for rental in self.rentals)

    @property
    def taken(self) -> bool:
        """True where the cloud took one of them back."""
        return any(rental.taken for rental in self.rentals)

    def speaker(self, known: Iterable[str]) -> Rental | None:
        """The machine that costs are entered under, for all of them: one that is `known` to the ledger, else the first
        of its cluster; None while nobody can tell which that is."""
        ids = set(known)
        chosen = [rental for rental in self.rentals if rental.machine in ids]
        chosen += [rental for rental in self.rentals if rental.head]
        if not chosen and (len(self.rentals) == 1 or not self.standing):
            chosen = sorted(self.rentals, key=lambda rental: rental.machine)
        return chosen[0] if chosen else None


def group(found: Iterable[Rental]) -> list[Launch]:
    """Launches, by time: machines of one kind that were rented in one place within `TOGETHER`, none after another."""
    groups: list[list[Rental]] = []
    for rental in sorted(found, key=lambda rental: (rental.launched, rental.machine)):
        alike = (rental.region, rental.zone, rental.instance_type, rental.spot)
        for other in groups:
            first = other[0]
            kind = (first.region, first.zone, first.instance_type, first.spot)
            gone = any(each.ended is not None and each.ended <= rental.launched for each in other)
            if kind == alike and rental.launched - first.launched < TOGETHER and not gone:
                other.append(rental)
                break
        else:
            groups.append([rental])
    return [Launch(tuple(each)) for each in groups]


def last_sign(entries: Iterable[Entry], epoch: int) -> float:
    """When the bucket last took a word of a machine of the run, under a later epoch than its launch's; 0 for never."""
    moments = (
        entry.written
        for entry in entries
        if entry.event["epoch"] > epoch and entry.event["event"] not in CLOUDS_WORD | _NOT_MACHINES
    )
    return max(moments, default=0.0)


@dataclass(frozen=True)
class Row:
    """The newest launches in a row of which no machine gave a sign of life."""

    launches: tuple[Launch, ...]
    dollars: float
    """Their cost by now."""

    @property
    def failed(self) -> int:
        """How many of them failed: what stands may still begin, and what the cloud took back was no fault of ours."""
        return sum(not launch.standing and not launch.taken for launch in self.launches)

    def over(self, budget: Budget) -> str | None:
        """Which wall they have reached, in words; None for none."""
        count, dollars = budget.failed_launches, budget.failed_dollars
        if count is not None and self.failed >= count:
            return f"budget.failed_launches {count}"
        if self.launches and dollars is not None and self.dollars >= dollars:
            return f"budget.failed_dollars {dollars:g}"
        return None


def row(launches: Sequence[Launch], since: float, sign: float, dollars: dict[str, float]) -> Row:
    """The launches after the moment `since` and after the last sign of life; `dollars`: by machine, as entered."""
    newest = tuple(launch for launch in launches if launch.since >= since and launch.since > sign)
    ids = {rental.machine for launch in newest for rental in launch.rentals}
    return Row(newest, sum(cost for machine, cost in dollars.items() if machine in ids))
