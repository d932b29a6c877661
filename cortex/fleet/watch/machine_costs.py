"""Ledger entries on the cost of a run's machines, by the cloud's record of each machine until it is gone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.fleet.watch.launches import Launch
from cortex.runs.budget import Charge
from cortex.runs.price_list import PriceList


@dataclass(frozen=True)
class Word:
    """An event to enter into the ledger."""

    event: str
    values: dict[str, Any]


def words(
    launches: Sequence[Launch],
    costs: Iterable[Charge],
    entered: frozenset[str],
    prices: PriceList | None,
    now: float,
    seen: dict[str, float],
) -> list[Word]:
    """The entries that the ledger lacks.

    A running machine that writes its own entries meters its cost itself. Nothing is entered for a machine whose program
    could not find out its id, and writes under its host's name: its cost would count twice.

    Args:
        costs: the charges that the ledger has so far.
        entered: the machines that the ledger says are gone.
        now: time by the cloud's clock.
        seen: time at which each machine was last seen running, where known.
    """
    known = {charge.machine: charge for charge in costs}
    nameless = [charge for charge in known.values() if charge.reached and not charge.machine.startswith("i-")]
    found, told = list[Word](), set[str]()
    for launch in launches:
        speaker = launch.speaker(known)
        ids = {rental.machine for rental in launch.rentals}
        told |= ids
        if speaker is None or ids & entered:
            continue
        charge = known.get(speaker.machine)
        if launch.standing:
            last = now
        else:
            ends = [rental.ended for rental in launch.rentals]
            guess = max(seen.get(speaker.machine, launch.since), charge.until if charge else launch.since)
            last = max((end for end in ends if end is not None), default=guess)
        if charge is None and any(other.since < last and launch.since < other.until for other in nameless):
            continue
        if launch.standing and charge and charge.reached:
            continue
        event = "machine_standing" if launch.standing else "machine_gone"
        found.append(Word(event, _values(launch, speaker.machine, prices) | {"until": round(last, 3)}))
    # Machines that EC2 no longer lists are gone, at an unknown time: they are charged for as long as they were seen.
    lost = [charge for charge in known.values() if charge.open and not charge.reached and charge.machine not in told]
    return found + [Word("machine_gone", _again(charge)) for charge in lost]


def _values(launch: Launch, machine: str, prices: PriceList | None) -> dict[str, Any]:
    """A launch as the entry of one machine, with the price of all its machines. A machine type without a price costs as
    much as the dearest in the list, as in a machine's own meter."""
    first = launch.rentals[0]
    where = ("aws", first.region, first.zone, first.instance_type, first.spot)
    offer = prices.find(*where) if prices else None
    dollars = offer.dollars_per_hour if offer else (prices.highest if prices else None) or 0.0
    names = ("cloud", "region", "zone", "instance_type", "spot")
    return {
        "machine": machine,
        "since": round(launch.since, 3),
        **dict(zip(names, where, strict=True)),
        "accelerators": offer.accelerators if offer else None,
        "nodes": len(launch.rentals),
        "dollars_per_hour": dollars * len(launch.rentals),
    }


def _again(charge: Charge) -> dict[str, Any]:
    names = ("machine", "cloud", "region", "zone", "instance_type", "accelerators", "spot", "dollars_per_hour")
    return {**{name: getattr(charge, name) for name in names}, "since": charge.since, "until": charge.until}
