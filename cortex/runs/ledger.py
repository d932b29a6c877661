"""The ledger: a run's events, append-only. Status, reports and budgets are computed from it."""

import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger

from cortex.artifacts.creating import create
from cortex.artifacts.lease import LAST_EPOCH
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store
from cortex.clock import steady_time
from cortex.errors import VerificationError
from cortex.limits import LEDGER_BYTES
from cortex.runs.events import Event, parse

__all__ = ["Entry", "Event", "Ledger", "LedgerReader", "UnwrittenLedger", "folder", "parse"]

FOLDER_INTERVAL, BUCKET_INTERVAL = 1.0, 20.0
"""Seconds between writes of progress, longer for a bucket: each write is an object, and objects there cost money."""

TICKS = frozenset({"progress", "machine_alive", "machine_standing"})
"""Events of which only the newest count. An object that holds only such events has `TICK` in its name."""

TICK = "-tick.jsonl"

CLOCK_SLACK = 5.0
"""Most seconds by which a right clock differs from a bucket's, which may leave out fractions."""

BATCH_BYTES = 1024**2
"""The size above which held events are split into several objects: readers take no object over `LEDGER_BYTES`, and a
training's metrics grow larger than that in an outage of some hours."""

READERS = 32
"""Objects that are read at the same time: they are small, and reading one is mostly waiting."""

_KEY = re.compile(
    r".*/(?P<writer>(?P<epoch>[0-9]{8})-((?P<name>[a-z]+)-)?)(?P<number>[0-9]{1,15})(?P<tick>-tick)?\.jsonl", re.DOTALL
)


@dataclass(frozen=True)
class Entry:
    """An event as the bucket holds it."""

    event: Event
    written: float
    """The time of the write, in seconds since 1970 by the bucket's clock, the only one that all writers share."""


@dataclass
class Ledger:
    """A writer of a run's ledger, for all threads of a program. Its epoch keeps its objects apart from other writers'.

    Events that could not be written because the bucket did not answer (`StoreError`) are written before the next one.
    Their object may be in the bucket although the answer was lost. So exactly the same object is written again, and
    newer events go into an object of their own. No object is ever replaced.
    """

    store: Store
    run: str
    epoch: int
    clock: Callable[[], float] = steady_time
    beside: Path | None = None
    """A file on this machine that also gets every event, for readers who cannot reach the bucket."""
    name: str = ""
    """Keeps this writer's objects apart from another's of the same epoch; lower-case letters."""
    _next: int = 0
    _pending: list[Event] = field(default_factory=list[Event])
    _sent: tuple[str, bytes] | None = None
    """The key and the bytes of an object that was sent and not acknowledged."""
    _flushed: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def append(self, event: str, **values: Any) -> None:
        """Write an event at once, after the events that were held back."""
        with self._lock:
            self.hold(event, **values)
            self.flush()

    def hold(self, event: str, **values: Any) -> None:
        """Hold back an event, to be written with the next one, since the store may not answer now."""
        with self._lock:
            self._pending.append(self._event(event, values))

    def progress(self, **values: Any) -> None:
        """Record progress. It is written with the next event, or at the next call after the interval."""
        interval = BUCKET_INTERVAL if self.store.local_path("runs") is None else FOLDER_INTERVAL
        with self._lock:
            self._pending.append(self._event("progress", values))
            if self.clock() - self._flushed >= interval:
                self.flush()

    def flush(self) -> None:
        """Write the events that are held back."""
        with self._lock:
            while sent := self._sent or self._batch():
                self._sent = sent
                written = create(self.store, *sent)
                self._next += 1
                # If another writer's object has that number, it stays, and this one gets the next number.
                self._sent = None if written else (self._key(sent[0].endswith(TICK)), sent[1])
            self._flushed = self.clock()

    def _batch(self) -> tuple[str, bytes] | None:
        """The key and bytes of the next object with held events; None if there are none."""
        if not self._pending:
            return None
        lines: list[str] = []
        size, ticks = 0, True
        for event in self._pending:
            size += len(line := _line(event))  # the line is ASCII, so its length is in bytes
            if lines and size > BATCH_BYTES:
                break
            lines.append(line)
            ticks = ticks and event["event"] in TICKS
        del self._pending[: len(lines)]
        return self._key(ticks), "".join(lines).encode()

    def _key(self, tick: bool) -> str:
        writer = f"{self.epoch:08d}-{self.name}{'-' if self.name else ''}"
        return f"{folder(self.run)}/{writer}{self._next:06d}{TICK if tick else '.jsonl'}"

    def _event(self, event: str, values: dict[str, Any]) -> Event:
        made = {"time": round(self.clock(), 6), "epoch": self.epoch, "event": event, **values}
        if self.beside:
            with (
                suppress(OSError),
                self.beside.open("a", encoding="utf-8") as file,
            ):  # a full disk must not end the stage
                file.write(_line(made))
        return made


@dataclass
class UnwrittenLedger(Ledger):
    """The ledger of a process that does not hold the run's lease: its events are not written."""

    def flush(self) -> None:
        """Drop the events that are held back."""
        with self._lock:
            self._pending.clear()


@dataclass
class LedgerReader:
    """Follows a ledger: each call gives the events since the last call."""

    store: Store
    run: str
    ticks: int | None = None
    """Number of each writer's newest objects with ticks alone that are read, which makes reading a long run's ledger
    fast; None reads all."""
    workers: int = READERS
    damaged: list[str] = field(default_factory=list[str])
    """The keys of objects with lines that are no events; the events in them are given all the same."""
    _seen: set[str] = field(default_factory=set[str])

    def new_events(self) -> list[Event]:
        """The new events, in the order of `new_entries`."""
        return [entry.event for entry in self.new_entries()]

    def new_entries(self) -> list[Entry]:
        """The new events, each with the time at which the bucket took it.

        They are in the order of their epochs, and within an epoch in each writer's order of writing, since clocks do
        not tell which of two machines was first.
        """
        written = {entry.key: entry.modified for entry in self.store.list(folder(self.run))}
        keys = [key for key in written if key not in self._seen]
        wanted = keys if self.ticks is None else _without_older_ticks(keys, self.ticks)
        workers = 1 if self.store.local_path("runs") else self.workers
        read = in_parallel(self._read, wanted, min(workers, len(wanted))) if wanted else []
        self._seen.update(keys)
        entries: list[Entry] = []
        for key, data in sorted(zip(wanted, read, strict=True), key=lambda pair: _sort_key(pair[0])):
            if data is None:
                self.damaged.append(key)
                continue
            lines = [line for line in data.decode(errors="replace").splitlines() if line.strip()]
            found = parse(lines)
            entries += [Entry(_clamp_time(written[key], event), written[key]) for event in found]
            if len(found) < len(lines):
                self.damaged.append(key)
                logger.debug(f"{self.store.url}/{key} is damaged: {len(lines) - len(found)} of its lines are left out")
        return sorted(entries, key=lambda entry: entry.event["epoch"])

    def _read(self, key: str) -> bytes | None:
        """An object's bytes; None if it is larger than any that the kit writes."""
        try:
            return self.store.get(key, LEDGER_BYTES)
        except VerificationError as error:
            logger.debug(f"{error}: it is left out")
            return None


def folder(run: str) -> str:
    return f"runs/{run}/ledger"


def _line(event: Event) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


def _clamp_time(written: float, event: Event) -> Event:
    """The event, dated by the bucket if its writer dates it later than the bucket took it."""
    return event if event["time"] <= written + CLOCK_SLACK else {**event, "time": written}


def _sort_key(key: str) -> tuple[int, str, int]:
    """The sort key of an object: its epoch, its writer's name and its number; foreign objects come last."""
    found = _KEY.fullmatch(key)
    return (int(found["epoch"]), found["name"] or "", int(found["number"])) if found else (LAST_EPOCH + 1, key, 0)


def _without_older_ticks(keys: list[str], ticks: int) -> list[str]:
    """The keys without each writer's older ticks. `keys` is in a listing's order, which is each writer's own."""
    wanted: list[str] = []
    counts: dict[str, int] = {}
    for key in reversed(keys):
        found = _KEY.fullmatch(key)
        if found and found["tick"]:
            counts[found["writer"]] = counts.get(found["writer"], 0) + 1
            if counts[found["writer"]] > ticks:
                continue
        wanted.append(key)
    return wanted[::-1]
