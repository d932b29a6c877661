"""Launches of a run, and the limit on failed launches in a row: pure computation on data that was read before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cortex.fleet.watch.rentals import Rental
from cortex.profiles.profile_sections import Budget
from cortex.runs.events import CLOUDS_WORD
from cortex.runs.ledger import Entry

TOGETHER = 20.0
"""Most seconds between the first and the last machine of one launch, which SkyPilot rents in a request or two. Between
two launches in one place it waits for at least 36 s."""

_NOT_MACHINES = frozenset({"launching", "launched", "launch_failed", "stopped", "given_up", "teardown", "destroyed"})
"""Events that the launching or ending program writes, not a machine of the run."""


@dataclass(frozen=True)
class Launch:
    """Machines that were rented at the same time, to work together."""

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
        """The machine under whose id the costs of all are entered: one that the ledger knows (`known`), else the head
        of the cluster; None while it is not known which that is."""
        ids = set(known)
        chosen = [rental for rental in self.rentals if rental.machine in ids]
        chosen += [rental for rental in self.rentals if rental.head]
        if not chosen and (len(self.rentals) == 1 or not self.standing):
            chosen = sorted(self.rentals, key=lambda rental: rental.machine)
        return chosen[0] if chosen else None


def group(found: Iterable[Rental]) -> list[Launch]:
    """Group machines into launches, ordered by time: a launch's machines have one type and place, were rented within
    `TOGETHER`, and none had ended before another was rented."""
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
    """Time of the last entry that a machine of the run wrote under a later epoch than the launch's; 0 for never."""
    moments = (
        entry.written
        for entry in entries
        if entry.event["epoch"] > epoch and entry.event["event"] not in CLOUDS_WORD | _NOT_MACHINES
    )
    return max(moments, default=0.0)


@dataclass(frozen=True)
class Row:
    """The newest launches in a row without a sign of life of any machine."""

    launches: tuple[Launch, ...]
    dollars: float
    """Their cost so far."""

    @property
    def failed(self) -> int:
        """Number of failed launches. Running machines may still begin, and a machine that the cloud took back is no
        failure of the launch: neither counts."""
        return sum(not launch.standing and not launch.taken for launch in self.launches)

    def over(self, budget: Budget) -> str | None:
        """The limit of the budget that they have reached, in words; None where they have reached none."""
        count, dollars = budget.failed_launches, budget.failed_dollars
        if count is not None and self.failed >= count:
            return f"budget.failed_launches {count}"
        if self.launches and dollars is not None and self.dollars >= dollars:
            return f"budget.failed_dollars {dollars:g}"
        return None


def row(launches: Sequence[Launch], since: float, sign: float, dollars: dict[str, float]) -> Row:
    """The launches from `since` on and after the last sign of life; `dollars` are the ledger's costs by machine."""
    newest = tuple(launch for launch in launches if launch.since >= since and launch.since > sign)
    ids = {rental.machine for launch in newest for rental in launch.rentals}
    return Row(newest, sum(cost for machine, cost in dollars.items() if machine in ids))
