"""Search for rented things that no live run needs, and their end, by EC2's API, independent of SkyPilot."""

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
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.job_names import bucket_label
from cortex.fleet.sweep.ec2 import ANSWER_SECONDS, Thing, end, tagged
from cortex.fleet.sweep.standing import Verdict, standings
from cortex.runs.price_list import PriceList

ELSEWHERE = "Google Cloud and Azure are not looked at: `sky status` and their own consoles show what stands there"


WATCH = 150.0
"""Seconds to wait for entries of silent machines before they are ended: after an outage of the bucket, every live
machine writes within a minute."""

FRESH = 30.0
"""Seconds for which a search counts as current: ending a machine takes minutes, and another may write meanwhile."""


@dataclass(frozen=True)
class Leftover:
    """A rented thing that no live run of this bucket needs."""

    thing: Thing
    run: str
    """The run's id; the run's label where this bucket has no such run."""
    verdict: Verdict
    foreign: bool
    """True where its run is in another bucket, so that nothing here tells whether the run is alive."""
    dollars_per_hour: float | None
    """Price by the run's price list; None where the list does not have it."""

    def to_json(self) -> dict[str, Any]:
        keys = ("kind", "id", "region", "zone", "owner", "since", "what", "spot")
        mine = {"run": self.run, "foreign": self.foreign, "dollars_per_hour": self.dollars_per_hour}
        verdict = {"why": self.verdict.why, "keeps": self.verdict.keeps}
        return {key: getattr(self.thing, key) for key in keys} | mine | verdict


@dataclass(frozen=True)
class Sweep:
    """Result of a search."""

    found: tuple[Leftover, ...]
    live: int
    """Number of tagged things that belong to runs that may be alive."""
    regions: tuple[str, ...]
    failures: tuple[str, ...]
    """Regions that could not be asked, or the bucket, each with the reason."""

    def to_json(self) -> dict[str, Any]:
        found = [leftover.to_json() for leftover in self.found]
        return {"found": found, "live": self.live, "regions": self.regions, "failures": self.failures}


def look(store: Store, regions: Sequence[str]) -> Sweep:
    """Search these regions for tagged things, except those that may belong to a live run of this bucket.

    Where the bucket does not answer, everything is listed, and nothing can be judged.
    """

    clients = aws_api.Clients(ANSWER_SECONDS)

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
        elif verdict := run.judge(thing.kind, thing.id, thing.since, now, thing.service):
            found.append(Leftover(thing, run.run, verdict, False, _dollars(thing, prices[thing.label])))
    found.sort(key=lambda leftover: (leftover.foreign, leftover.run, leftover.thing.kind != "machine"))
    failures = [fault for *_, fault in answers if fault] + ([unknown] if unknown else [])
    return Sweep(tuple(found), len(things) - len(found), tuple(regions), tuple(failures))


def destroy(
    confirmed: Sequence[Leftover], store: Store, regions: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> Iterator[tuple[Leftover, str | None]]:
    """End the confirmed things one after another, machines first, and yield each with its failure, or None.

    Before silent machines are ended, the function waits `WATCH` seconds. Everything is checked again before it is
    ended, and machines that wrote again are left alone. After a kill at any point, the same command continues.
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
    """The reason why a confirmed thing is not ended; None where its state has not changed."""
    still = next((leftover for leftover in seen.found if leftover.thing.key == confirmed.thing.key), None)
    if still is None:
        unseen = next((fault for fault in seen.failures if fault.startswith(f"{confirmed.thing.region}: ")), None)
        return unseen or "it is gone already, or its run is alive again"
    if (still.verdict.keeps and not confirmed.verdict.keeps) or (still.foreign and not confirmed.foreign):
        return f"it was not ended: {still.verdict.keeps or still.verdict.why}"
    return None


def table(found: Sequence[Leftover]) -> Table:
    """The leftovers as a table for the terminal."""
    # Columns that users copy from are never cut off, however narrow the terminal is.
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
    """A run's price list; None where it cannot be read: the run's leftovers must be listed all the same."""
    try:
        return PriceList.read(store, run)
    except DataError as error:
        logger.warning(f"{error}: what its machines cost is not known")
        return None


def _dollars(thing: Thing, prices: PriceList | None) -> float | None:
    if prices is None or thing.kind != "machine":
        return None
    return prices.dollars_per_hour("aws", thing.region, thing.zone, thing.what, thing.spot)
