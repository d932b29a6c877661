"""A run's managed job as SkyPilot knows it: what becomes of a launch before the run's own program has a say."""

import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cortex.errors import CortexError
from cortex.fleet.names import job_name
from cortex.fleet.skypilot import (
    answering,
    has_remote_server,
    managed_jobs,
    never_used,
    require_server,
    uncoloured,
)
from cortex.fleet.watch.background import is_watched
from cortex.runs.events import Event
from cortex.text import harmless

PATIENCE = 10.0
"""Seconds that one look waits for SkyPilot's answer."""

EVERY = 15.0
"""Seconds between two questions of one who follows."""

SUBMITTED_WITHIN = 3600.0
"""Seconds between the ledger's word of a launch and SkyPilot's of the same, by clocks that are not one: a job of the
same number and name that is further off was launched through another server."""

FIELDS = ("job_id", "job_name", "task_id", "task_name", "status", "recovery_count", "details", "submitted_at")


@dataclass(frozen=True)
class JobState:
    """A managed job at one moment, by the first of its tasks that has not succeeded."""

    job: str
    """As teardown names it: `job/<number>`."""
    task: str | None
    state: str
    """SkyPilot's word in lower case: `pending`, `starting`, `running`, `recovering`, `failed_setup`, ..."""
    ended: bool
    failed: bool
    recoveries: int
    reason: str | None
    """What SkyPilot waits for, or why it gave up."""

    def __str__(self) -> str:
        words = [f"SkyPilot: {self.job}", f"task {self.task}" if self.task else "", self.state.replace("_", " ")]
        words.append(f"{self.recoveries} recover{'y' if self.recoveries == 1 else 'ies'}" if self.recoveries else "")
        return ", ".join(word for word in words if word) + (f": {self.reason}" if self.reason else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def newest_launch(events: Iterable[Event]) -> Event | None:
    """The ledger's newest `launched`, or `launching` where that is all, dated by when it was begun: `launched` may come
    long after the job, where a launch was killed and gone on with. None for a run that was never launched."""
    found = [event for event in events if event["event"] in ("launching", "launched")]
    newest = max(found, key=lambda event: (event["epoch"], event["event"] == "launched"), default=None)
    if newest is None:
        return None
    return {**newest, "time": min(event["time"] for event in found if event["epoch"] == newest["epoch"])}


def read_job_state(run: str, launch: Event) -> JobState | None:
    """The job that a run was launched as; None where SkyPilot's server here does not know it.

    Args:
        launch: as `newest_launch` gives it.

    Raises:
        ConfigError: SkyPilot's server cannot be asked.
    """
    with answering(f"ask for the job of {run}"):
        if never_used():
            return None
        require_server()
        return find_job_state(managed_jobs(FIELDS, finished=True), run, launch)


def find_job_state(records: Sequence[Any], run: str, launch: Event) -> JobState | None:
    """The state of the run's job among SkyPilot's records, of which a chain has one a task."""
    named = [
        record
        for record in records
        if record.job_name == job_name(run)
        and abs((record.submitted_at or launch["time"]) - launch["time"]) < SUBMITTED_WITHIN
        and (record.job_id == launch["job"] if "job" in launch else not record.status.is_terminal())
    ]
    newest = max((record.job_id for record in named), default=None)
    tasks = sorted((record for record in named if record.job_id == newest), key=lambda record: record.task_id or 0)
    if not tasks:
        return None
    unfinished = (task for task in tasks if task.status.value != "SUCCEEDED")
    task = next(unfinished, tasks[-1])
    return JobState(
        job=f"job/{newest}",
        task=harmless(task.task_name, limit=100) if task.task_name else None,
        state=task.status.value.lower(),
        ended=task.status.is_terminal(),
        failed=task.status.is_failed(),
        recoveries=task.recovery_count or 0,
        reason=harmless(uncoloured(task.details), limit=500) if task.details else None,
    )


class JobWatcher:
    """Asks SkyPilot for a run's job, on a thread of its own: a server that hangs holds nobody up."""

    def __init__(self, run: str, *, home: Path | None = None, patience: float = PATIENCE, every: float = EVERY) -> None:
        """With `home`, which is CORTEX_HOME, it is looked for a watcher there, too."""
        self._run, self._home, self._patience, self._every = run, home, patience, every
        self._asking: threading.Thread | None = None
        self._asked = -math.inf
        self.state: JobState | None = None
        """What SkyPilot said last."""
        self.unasked: str | None = None
        """Why it could not be asked."""
        self.unwatched = False
        """True where the job goes on at this machine's own server, and no watcher is at work here."""

    def look(self, launch: Event) -> None:
        """Ask, and wait for the answer while patience lasts."""
        self.ask(launch)
        if self._asking:
            self._asking.join(self._patience)
            if self._asking.is_alive():
                self.unasked = f"its server has not answered for {self._patience:g} s: `sky api status` shows it"

    def ask(self, launch: Event) -> None:
        """Have it asked, where it is time to and nobody waits for an answer."""
        if time.monotonic() - self._asked < self._every or (self._asking and self._asking.is_alive()):
            return
        self._asked = time.monotonic()
        self._asking = threading.Thread(target=self._ask, args=(launch,), daemon=True)
        self._asking.start()

    def _ask(self, launch: Event) -> None:
        try:
            self.state, self.unasked = read_job_state(self._run, launch), None
            if self._home and self.state and not self.state.ended:
                self.unwatched = not has_remote_server() and not is_watched(self._home)
        except CortexError as error:
            self.unasked = str(error)


def can_ask() -> bool:
    """Whether SkyPilot is installed here: no image has it."""
    return find_spec("sky") is not None
