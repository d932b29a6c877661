"""What happened in a run, append-only: attempts, progress, ends. Status, reports and budgets read it."""

import json
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.artifacts.store import Store

FOLDER_INTERVAL, BUCKET_INTERVAL = 1.0, 20.0
"""Seconds between writes of progress: an object each time, so more rarely where objects cost money."""

Event = dict[str, Any]


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
                self.store.put(f"{folder(self.run)}/{self.epoch:08d}-{self._written:06d}.jsonl", lines.encode())
                self._written += 1
                self._pending.clear()
            self._flushed = self.clock()

    def _event(self, event: str, values: dict[str, Any]) -> Event:
        made = {"time": round(self.clock(), 6), "epoch": self.epoch, "event": event, **values}
        if self.beside:
            with suppress(OSError), self.beside.open("a") as file:  # a full disk must not end what is going on
                file.write(_line(made))
        return made


@dataclass
class LedgerReader:
    """Follows a ledger: each call gives the events that are new since the last."""

    store: Store
    run: str
    _seen: set[str] = field(default_factory=set[str])

    def new_events(self) -> list[Event]:
        events: list[Event] = []
        for entry in self.store.list(folder(self.run)):
            if entry.key not in self._seen:
                self._seen.add(entry.key)
                events += parse(self.store.get(entry.key).decode().splitlines())
        return sorted(events, key=lambda event: event["time"])


def folder(run: str) -> str:
    return f"runs/{run}/ledger"


def _line(event: Event) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


def parse(lines: Iterable[str]) -> list[Event]:
    return [json.loads(line) for line in lines if line]
