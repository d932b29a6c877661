"""Finding what no live run needs, and ending it: through EC2's own API, whatever SkyPilot knows of it."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger
from rich.table import Table
from rich.text import Text

from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store, StoreError
from cortex.errors import CortexError, DataError
from cortex.fleet import aws
from cortex.fleet.names import bucket_label
from cortex.fleet.sweep.ec2 import ANSWER_SECONDS, Thing, end, tagged
from cortex.fleet.sweep.standing import Verdict, standings
from cortex.runs.prices import PriceList

ELSEWHERE = "Google Cloud and Azure are not looked at: `sky status` and their own consoles show what stands there"


WATCH = 150.0
"""Seconds for which what was merely not heard of is watched before it is ended: after an outage of the bucket, every
machine that lives writes within a minute."""

FRESH = 30.0
"""Seconds for which what was seen holds: ending a machine takes minutes, in which another may come back to life."""


@dataclass(frozen=True)
class Leftover:
    """Something rented that no live run needs."""

    thing: Thing
    run: str
    """Its run's id; its label where this bucket has no such run."""
    verdict: Verdict
    foreign: bool
    """Whether its run is of another bucket: nobody here can tell whether it is alive."""
    dollars_per_hour: float | None
    """By the run's price list; None where that does not say."""

    def to_json(self) -> dict[str, Any]:
        keys = ("kind", "id", "region", "zone", "owner", "since", "what", "spot")
        mine = {"run": self.run, "foreign": self.foreign, "dollars_per_hour": self.dollars_per_hour}
        verdict = {"why": self.verdict.why, "keeps": self.verdict.keeps}
        return {key: getattr(self.thing, key) for key in keys} | mine | verdict


@dataclass(frozen=True)
class Sweep:
    """What was found where."""

    found: tuple[Leftover, ...]
    live: int
    """How many tagged things belong to runs that may be alive."""
    regions: tuple[str, ...]
    failures: tuple[str, ...]
    """Regions that did not tell, or the bucket, and why."""

    def to_json(self) -> dict[str, Any]:
        found = [leftover.to_json() for leftover in self.found]
        return {"found": found, "live": self.live, "regions": self.regions, "failures": self.failures}


def look(store: Store, regions: Sequence[str]) -> Sweep:
    """Find what bears our tags in these regions, and leave out what may belong to a live run of this bucket.

    Where the bucket does not answer, everything is listed, and nothing of it can be judged.
    """

    clients = aws.Clients(ANSWER_SECONDS)

    def ask(region: str) -> tuple[list[Thing], float, str | None]:
        try:
            return *tagged(clients, region), None
        except CortexError as error:
            return [], 0.0, str(error)

    answers = in_parallel(ask, regions, 16)
    things = [(thing, now) for found, now, _ in answers for thing in found]
    try:
        known, unknown = standings(store, {thing.label for thing, _ in things}), None
        prices = {label: _prices(store, found.run) for label, found in known.items()}
    except StoreError as error:
        known, prices, unknown = {}, {}, f"nobody can tell what is alive: {error}"
    ours = bucket_label(store.url)
    found = list[Leftover]()
    for thing, now in things:
        run = known.get(thing.label) if thing.bucket in (None, ours) else None
        if run is None:
            elsewhere = Verdict("its bucket does not answer" if unknown else "of another bucket", False, unknown)
            found.append(Leftover(thing, thing.label, elsewhere, True, None))
        elif verdict := run.judge(thing.kind, thing.id, thing.since, now):
            found.append(Leftover(thing, run.run, verdict, False, _dollars(thing, prices[thing.label])))
    found.sort(key=lambda leftover: (leftover.foreign, leftover.run, leftover.thing.kind != "machine"))
    failures = [fault for *_, fault in answers if fault] + ([unknown] if unknown else [])
    return Sweep(tuple(found), len(things) - len(found), tuple(regions), tuple(failures))


def destroy(
    confirmed: Sequence[Leftover], store: Store, regions: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Leftover, str | None]]:
    """End what was confirmed, one after another, machines first; each with what went wrong, or None.

    What was merely not heard of is watched first for `WATCH` seconds. Everything is looked at once more before it is
    ended: what came back to life meanwhile is left alone. Killed at any point, the same command goes on.
    """
    if any(leftover.thing.kind == "machine" and not leftover.verdict.over for leftover in confirmed):
        logger.info(f"watching for {WATCH:.0f} s what was not heard of: a machine that lives writes every minute")
        sleep(WATCH)
    seen, looked = Sweep((), 0, (), ()), -math.inf
    for leftover in sorted(confirmed, key=lambda leftover: leftover.thing.kind != "machine"):
        if time.monotonic() - looked > FRESH:
            seen, looked = look(store, regions), time.monotonic()
        fault = _changed(leftover, seen)
        if fault is None:
            try:
                end(leftover.thing)
            except CortexError as error:
                fault = str(error)
        yield leftover, fault


def _changed(confirmed: Leftover, seen: Sweep) -> str | None:
    """Why something is not ended though it was confirmed; None where it stands as it stood."""
    still = next((leftover for leftover in seen.found if leftover.thing.key == confirmed.thing.key), None)
    if still is None:
        unseen = next((fault for fault in seen.failures if fault.startswith(f"{confirmed.thing.region}: ")), None)
        return unseen or "it is gone already, or its run is alive again"
    if (still.verdict.keeps and not confirmed.verdict.keeps) or (still.foreign and not confirmed.foreign):
        return f"it was not ended: {still.verdict.keeps or still.verdict.why}"
    return None


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
        verdict = leftover.verdict
        why = f"{verdict.why}; {verdict.keeps} (--abandon)" if verdict.keeps else verdict.why
        words = (thing.kind, thing.id, thing.region, what, leftover.run, thing.owner or "-", cost, why)
        made.add_row(*(Text(word) for word in words))
    return made


def _prices(store: Store, run: str) -> PriceList | None:
    """A run's price list; None where it has none that can be read, which must not hide what costs money."""
    try:
        return PriceList.read(store, run)
    except DataError as error:
        logger.warning(f"{error}: what its machines cost is not known")
        return None


def _dollars(thing: Thing, prices: PriceList | None) -> float | None:
    if prices is None or thing.kind != "machine":
        return None
    return prices.dollars_per_hour("aws", thing.region, thing.zone, thing.what, thing.spot)
