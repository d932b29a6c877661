"""What happened in a run, append-only: attempts, progress, ends. Status, reports and budgets read it."""

import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from loguru import logger

from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store

FOLDER_INTERVAL, BUCKET_INTERVAL = 1.0, 20.0
"""Seconds between writes of progress: an object each time, so more rarely where objects cost money."""

TICKS = frozenset({"progress", "machine_alive"})
"""Events of which only the newest count. An object that holds nothing else says so in its name."""

READERS = 32
"""Objects that are read at a time: each is small, and waits for the bucket."""

_KEY = re.compile(r".*/(?P<writer>\d{8}-(?:[a-z]+-)?)\d+(?P<tick>-tick)?\.jsonl")

Event = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """An event as the bucket holds it."""

    event: Event
    written: float
    """When the bucket took it, in seconds since 1970 by the bucket's clock: the only clock that all writers share."""


@dataclass
class Ledger:
    """One writer's end of a run's ledger, for all its threads. Its epoch keeps its objects apart from other writers'.

    What could not be written because the bucket did not answer (`StoreError`) goes with the next event.
    """

    store: Store
    run: str
    epoch: int
    clock: Callable[[], float] = time.time
    beside: Path | None = None
    """A file of this machine that takes every event, too, for whoever cannot reach the bucket."""
    name: str = ""
    """What keeps this writer's objects apart from another's of the same epoch: lower-case letters."""
    _written: int = 0
    _pending: list[Event] = field(default_factory=list[Event])
    _flushed: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def append(self, event: str, **values: Any) -> None:
        """Record an event at once, together with what was held back before it."""
        with self._lock:
            self.hold(event, **values)
            self.flush()

    def hold(self, event: str, **values: Any) -> None:
        """Record an event that is written with the next: the store may not answer now."""
        with self._lock:
            self._pending.append(self._event(event, values))

    def progress(self, **values: Any) -> None:
        """Record progress; written with the next event, or when the interval has passed."""
        interval = BUCKET_INTERVAL if self.store.local_path("runs") is None else FOLDER_INTERVAL
        with self._lock:
            self._pending.append(self._event("progress", values))
            if self.clock() - self._flushed >= interval:
                self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        with self._lock:
            if self._pending:
                lines = "".join(_line(event) for event in self._pending)
                tick = "-tick" if all(event["event"] in TICKS for event in self._pending) else ""
                writer = f"{self.epoch:08d}-{self.name}{'-' if self.name else ''}"
                self.store.put(f"{folder(self.run)}/{writer}{self._written:06d}{tick}.jsonl", lines.encode())
                self._written += 1
                self._pending.clear()
            self._flushed = self.clock()

    def _event(self, event: str, values: dict[str, Any]) -> Event:
        made = {"time": round(self.clock(), 6), "epoch": self.epoch, "event": event, **values}
        if self.beside:
            with (
                suppress(OSError),
                self.beside.open("a", encoding="utf-8") as file,
            ):  # a full disk must not end what is going on
                file.write(_line(made))
        return made


@dataclass
class LedgerReader:
    """Follows a ledger: each call gives the events that are new since the last."""

    store: Store
    run: str
    ticks: int | None = None
    """Read so many of each writer's newest objects that hold nothing but ticks, by which a long run's ledger is read
    in a moment; None reads all."""
    workers: int = READERS
    damaged: list[str] = field(default_factory=list[str])
    """The keys of objects that hold something else than events, whole: what could be read of them is given."""
    _seen: set[str] = field(default_factory=set[str])

    def new_events(self) -> list[Event]:
        return [entry.event for entry in self.new_entries()]

    def new_entries(self) -> list[Entry]:
        """The same, each with the moment at which the bucket took it."""
        written = {entry.key: entry.modified for entry in self.store.list(folder(self.run))}
        keys = [key for key in written if key not in self._seen]
        wanted = keys if self.ticks is None else _newest(keys, self.ticks)
        workers = 1 if self.store.local_path("runs") else self.workers
        read = in_parallel(self.store.get, wanted, min(workers, len(wanted))) if wanted else []
        self._seen.update(keys)
        entries: list[Entry] = []
        for key, data in zip(wanted, read, strict=True):
            lines = [line for line in data.decode(errors="replace").splitlines() if line.strip()]
            found = parse(lines)
            entries += [Entry(event, written[key]) for event in found]
            if len(found) < len(lines):
                self.damaged.append(key)
                logger.debug(f"{self.store.url}/{key} is damaged: {len(lines) - len(found)} of its lines are left out")
        return sorted(entries, key=lambda entry: entry.event["time"])


def folder(run: str) -> str:
    return f"runs/{run}/ledger"


def _line(event: Event) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


def parse(lines: Iterable[str]) -> list[Event]:
    """The events of some lines, each of which is one; what is none, such as a line that was cut off, is left out."""
    return [event for line in lines if (event := _event(line)) is not None]


def _event(line: str) -> Event | None:
    try:
        found: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    match found:
        case {"event": str(), "epoch": int(), "time": int() | float() as at} if math.isfinite(at):
            return cast(Event, found)
        case _:
            return None


def _newest(keys: list[str], ticks: int) -> list[str]:
    """The keys without each writer's older ticks; in the order of a listing, which is each writer's own."""
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
