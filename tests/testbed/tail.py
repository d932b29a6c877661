"""Events of a run's bucket as they come, a line of JSON each: `python -m tests.testbed.tail RUN`, in the bed.

The events of its ledger; and, as events of the same form, each artifact and checkpoint that is complete (`published`),
and each lease that was taken (`lease`).
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.runs.ledger import Event, LedgerReader
from tests.testbed.bed import Bed

EVERY = 0.5
_LEASE = re.compile(r"runs/[^/]+/lease/\d+")


@dataclass
class Tail:
    """All events of a run so far, and those to come."""

    events: list[Event] = field(default_factory=list[Event])

    def of(self, kind: str, **values: Any) -> list[Event]:
        """The events of a kind that have these values, by time."""
        chosen = [event for event in list(self.events) if event["event"] == kind and values.items() <= event.items()]
        return sorted(chosen, key=lambda event: event["time"])

    def machine(self, epoch: int) -> str:
        """The machine on which an epoch was taken."""
        (lease,) = self.of("lease", epoch=epoch)
        return lease["host"]


@contextmanager
def followed(bed: Bed, run: str) -> Generator[Tail]:
    """Follow a run from outside the bed."""
    tail = Tail()
    command = bed.command([sys.executable, "-m", __name__, run])
    options: dict[str, Any] = {"env": bed.variables(), "stdout": subprocess.PIPE, "text": True, "process_group": 0}
    with subprocess.Popen(command, **options) as process:
        assert process.stdout is not None
        lines = process.stdout

        def read() -> None:
            for line in lines:
                tail.events.append(json.loads(line))

        thread = threading.Thread(target=read, name=f"tail {run}", daemon=True)
        thread.start()
        try:
            yield tail
        finally:
            # Kill the whole group: its leader only enters the bed, and would leave the program there, with our pipe.
            os.killpg(process.pid, signal.SIGKILL)
            thread.join()


def main() -> None:
    run = sys.argv[1]
    store = open_store(os.environ["CORTEX_BUCKET"])
    reader, known = LedgerReader(store, run), set[str]()
    while True:
        found = reader.new_events()
        for entry in store.list(f"runs/{run}"):
            if entry.key not in known:
                known.add(entry.key)
                found += _said(store, entry.key)
        for event in found:
            print(json.dumps(event), flush=True)
        time.sleep(EVERY)


def _said(store: Store, key: str) -> list[Event]:
    if key.endswith("/manifest.json"):
        return [{"event": "published", "time": time.time(), "key": key.split("/", 2)[2].removesuffix("/manifest.json")}]
    if _LEASE.fullmatch(key):
        return [{"event": "lease", "time": time.time(), **json.loads(store.get(key))}]
    return []


if __name__ == "__main__":
    main()
