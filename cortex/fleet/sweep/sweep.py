"""Finding what no live run needs, and ending it: through EC2's own API, whatever SkyPilot knows of it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store
from cortex.errors import CortexError
from cortex.fleet import aws
from cortex.fleet.sweep.ec2 import ANSWER_SECONDS, Thing, end, tagged
from cortex.fleet.sweep.standing import Standing, standings
from cortex.runs.prices import PriceList

ELSEWHERE = "Google Cloud and Azure are not looked at: `sky status` and their own consoles show what stands there"


@dataclass(frozen=True)
class Leftover:
    """Something rented that no live run needs."""

    thing: Thing
    run: str
    """Its run's id; its label where this bucket has no such run."""
    why: str
    foreign: bool
    """Whether its run is of another bucket: nobody here can tell whether it is alive."""
    dollars_per_hour: float | None
    """By the run's price list; None where that does not say."""

    def to_json(self) -> dict[str, Any]:
        keys = ("kind", "id", "region", "zone", "owner", "since", "what", "spot")
        mine = {key: getattr(self, key) for key in ("run", "why", "foreign", "dollars_per_hour")}
        return {key: getattr(self.thing, key) for key in keys} | mine


@dataclass(frozen=True)
class Sweep:
    """What was found where."""

    found: tuple[Leftover, ...]
    live: int
    """How many tagged things belong to runs that may be alive."""
    regions: tuple[str, ...]
    failures: tuple[str, ...]
    """Regions that did not tell, and why."""

    def to_json(self) -> dict[str, Any]:
        found = [leftover.to_json() for leftover in self.found]
        return {"found": found, "live": self.live, "regions": self.regions, "failures": self.failures}


def look(store: Store, regions: Sequence[str], clock: Callable[[], float] = time.time) -> Sweep:
    """Find what bears our tags in these regions, and leave out what may belong to a live run of this bucket.

    Raises:
        StoreError: the bucket does not answer, so that nobody can tell what is alive.
    """

    clients = aws.Clients(ANSWER_SECONDS)

    def ask(region: str) -> tuple[list[Thing], str | None]:
        try:
            return tagged(clients, region), None
        except CortexError as error:
            return [], str(error)

    answers = in_parallel(ask, regions, 16)
    things = [thing for found, _ in answers for thing in found]
    known = standings(store, {thing.label for thing in things})
    prices = {label: PriceList.read(store, found.run) for label, found in known.items()}
    now = clock()
    found = [leftover for thing in things if (leftover := _judged(thing, known, prices, now))]
    found.sort(key=lambda leftover: (leftover.foreign, leftover.run, leftover.thing.kind != "machine"))
    failures = tuple(fault for _, fault in answers if fault)
    return Sweep(tuple(found), len(things) - len(found), tuple(regions), failures)


def destroy(
    confirmed: Sequence[Leftover], store: Store, regions: Sequence[str], clock: Callable[[], float] = time.time
) -> Iterator[tuple[Leftover, str | None]]:
    """End what was confirmed, one after another, machines first; each with what went wrong, or None.

    Everything is looked at once more before the first: what came back to life meanwhile is left alone. Killed at any
    point, the same command goes on.
    """
    still = {leftover.thing.key for leftover in look(store, regions, clock).found}
    for leftover in sorted(confirmed, key=lambda leftover: leftover.thing.kind != "machine"):
        if leftover.thing.key not in still:
            yield leftover, "it is gone already, or its run is alive again"
            continue
        try:
            end(leftover.thing)
        except CortexError as error:
            yield leftover, str(error)
        else:
            yield leftover, None


def table(found: Sequence[Leftover]) -> Table:
    """What was found, for people."""
    # What may be copied from here is whole, however narrow the terminal.
    whole = {
        "id": max((len(leftover.thing.id) for leftover in found), default=0),
        "run": max((len(leftover.run) for leftover in found), default=0),
    }
    made = Table(box=None, pad_edge=False)
    for heading in ("", "id", "region", "what", "run", "owner", "$/h", "why"):
        made.add_column(heading, no_wrap=heading in whole, min_width=whole.get(heading))
    for leftover in found:
        thing = leftover.thing
        cost = "-" if leftover.dollars_per_hour is None else f"{leftover.dollars_per_hour:.2f}"
        what = f"{thing.what}{' spot' if thing.spot else ''}"
        words = (thing.kind, thing.id, thing.region, what, leftover.run, thing.owner or "-", cost, leftover.why)
        made.add_row(*(Text(word) for word in words))
    return made


def _judged(
    thing: Thing, known: dict[str, Standing], prices: dict[str, PriceList | None], now: float
) -> Leftover | None:
    found = known.get(thing.label)
    if found is None:
        return Leftover(thing, thing.label, "of another bucket", True, None)
    why = found.leftover(thing.id, thing.since, now)
    if why is None:
        return None
    listed = prices[thing.label]
    price = (
        listed.dollars_per_hour("aws", thing.region, thing.zone, thing.what, thing.spot)
        if listed and thing.kind == "machine"
        else None
    )
    return Leftover(thing, found.run, why, False, price)
