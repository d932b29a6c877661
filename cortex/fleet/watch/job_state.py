"""A run's managed job as SkyPilot reports it: all that is known of a launch until its machine writes to the ledger."""

import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cortex.errors import CortexError
from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.clouds.skypilot import (
    has_remote_server,
    managed_jobs,
    never_used,
    reaching_skypilot,
    require_server,
    uncoloured,
)
from cortex.fleet.watch.background import is_watched
from cortex.runs.events import Event
from cortex.text import harmless

PATIENCE = 10.0
"""Seconds to wait for one answer of SkyPilot's server."""

EVERY = 15.0
"""Least seconds between two questions to SkyPilot while a run is followed."""

SUBMITTED_WITHIN = 3600.0
"""Most seconds between the ledger's time of a launch and SkyPilot's, which come from different clocks: a job of the
same number and name that is further away was launched through another server."""

FIELDS = ("job_id", "job_name", "task_id", "task_name", "status", "recovery_count", "details", "submitted_at")


@dataclass(frozen=True)
class JobState:
    """A managed job at one moment, described by the first of its tasks that has not succeeded."""

    job: str
    """The job's name in teardown: `job/<number>`."""
    task: str | None
    state: str
    """SkyPilot's status in lower case: `pending`, `starting`, `running`, `recovering`, `failed_setup`, ..."""
    ended: bool
    failed: bool
    recoveries: int
    reason: str | None
    """SkyPilot's reason for waiting or for giving up."""

    def __str__(self) -> str:
        words = [f"SkyPilot: {self.job}", f"task {self.task}" if self.task else "", self.state.replace("_", " ")]
        words.append(f"{self.recoveries} recover{'y' if self.recoveries == 1 else 'ies'}" if self.recoveries else "")
        return ", ".join(word for word in words if word) + (f": {self.reason}" if self.reason else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def newest_launch(events: Iterable[Event]) -> Event | None:
    """The ledger's newest `launched`, or `launching` where there is no more, with the time at which the launch began.

    After a launch that was killed and continued, `launched` may be much later than the job. None for a run that was
    never launched."""
    found = [event for event in events if event["event"] in ("launching", "launched")]
    newest = max(found, key=lambda event: (event["epoch"], event["event"] == "launched"), default=None)
    if newest is None:
        return None
    return {**newest, "time": min(event["time"] for event in found if event["epoch"] == newest["epoch"])}


def read_job_state(run: str, launch: Event) -> JobState | None:
    """The state of a run's job; None where SkyPilot's server here does not know the job.

    Args:
        launch: an event from `newest_launch`.

    Raises:
        ConfigError: SkyPilot's server cannot be asked.
    """
    with reaching_skypilot(f"ask for the job of {run}"):
        if never_used():
            return None
        require_server()
        return find_job_state(managed_jobs(FIELDS, finished=True), run, launch)


def find_job_state(records: Sequence[Any], run: str, launch: Event) -> JobState | None:
    """The state of the run's job among SkyPilot's records; a chain of tasks has one record a task."""
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
    """Asks SkyPilot for a run's job on a thread of its own, so that a server that hangs does not block the caller."""

    def __init__(self, run: str, *, home: Path | None = None, patience: float = PATIENCE, every: float = EVERY) -> None:
        """With `home` (CORTEX_HOME), also check whether a watcher runs there."""
        self._run, self._home, self._patience, self._every = run, home, patience, every
        self._asking: threading.Thread | None = None
        self._asked = -math.inf
        self.state: JobState | None = None
        """SkyPilot's last answer."""
        self.unasked: str | None = None
        """The reason why SkyPilot could not be asked; None where it could."""
        self.unwatched = False
        """True where this machine's own server runs the job, and no watcher runs here."""

    def look(self, launch: Event) -> None:
        """Ask, and wait up to `patience` seconds for the answer."""
        self.ask(launch)
        if self._asking:
            self._asking.join(self._patience)
            if self._asking.is_alive():
                self.unasked = f"its server has not answered for {self._patience:g} s: `sky api status` shows it"

    def ask(self, launch: Event) -> None:
        """Ask in the background, unless a question is still open or the last one was too recent."""
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
    """True where SkyPilot is installed here; the images do not have it."""
    return find_spec("sky") is not None
