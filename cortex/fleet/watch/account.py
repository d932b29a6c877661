"""The cloud's word on a run's machines, made ready for the ledger: the cost of each until it is gone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.fleet.watch.launches import Launch
from cortex.runs.budget import Charge
from cortex.runs.prices import PriceList


@dataclass(frozen=True)
class Word:
    """An event to enter."""

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
    """The entries that are missing.

    A machine that writes for itself is left to its meter while it stands. Of one whose program could not learn which
    machine it is, and which goes by its host's name, nothing is entered: it would be paid for twice.

    Args:
        costs: what the ledger says by now.
        entered: the machines of which it says that they are gone.
        now: by the cloud's clock.
        seen: when each machine was last seen standing, where that is known.
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
    # What EC2 has forgotten is gone, nobody knows since when: it is charged for as long as it was seen.
    lost = [charge for charge in known.values() if charge.open and not charge.reached and charge.machine not in told]
    return found + [Word("machine_gone", _again(charge)) for charge in lost]


def _values(launch: Launch, machine: str, prices: PriceList | None) -> dict[str, Any]:
    """A launch as one machine's entry, at the price of them all; a kind without a price costs as much as the dearest,
    as a machine's own meter has it."""
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
