"""What the steps share: the runs that they begin, how these stand, and how long a step may still take."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cortex.artifacts.store import Store, StoreError
from cortex.errors import StageError
from cortex.fleet.job_state import JobWatcher
from cortex.fleet.status import RunStatus, RunWatcher
from cortex.runs.events import Event
from cortex.runs.profile import Profile
from cortex.settings import Settings
from scripts.roadtest.pipeline import SECRET
from scripts.roadtest.verbs import Verbs

EVERY = 5.0
"""Seconds between two looks at the bucket."""

SKYPILOT_LOGS = "sky jobs logs"

T = TypeVar("T")


@dataclass
class Road:
    """One road test under way."""

    run: str
    """The run that goes all the way."""
    wall: str
    """The one that is to be ended at once."""
    profile: Profile
    profile_path: Path
    wall_profile_path: Path
    pipeline: Path
    wall_pipeline: Path
    settings: Settings
    store: Store
    verbs: Verbs
    secret: str
    """One made up for this road test alone, which goes the way that a user's secrets go."""
    clouds: frozenset[str] = frozenset()
    """Where its machines may be."""
    regions: tuple[str, ...] = ()
    """Of AWS, where what it rented is looked for; empty for every one that is enabled."""
    offline_seconds: float = 60.0
    """How long the way to SkyPilot's server is cut."""
    begun: dict[str, float] = field(default_factory=dict[str, float])
    """When the launch of each run was begun, by `time.monotonic`: there is something to be ended."""
    submitted: set[str] = field(default_factory=set[str])
    """The runs whose launch said that they are submitted: no later one comes about."""
    reclaimed: str | None = None
    """The machine that was taken away."""
    _watchers: dict[str, RunWatcher] = field(default_factory=dict[str, RunWatcher])
    _spent: dict[str, float] = field(default_factory=dict[str, float])
    _until: float = 0.0

    @property
    def spent(self) -> float:
        """The dollars of its runs, as far as their ledgers were read."""
        return sum(self._spent.values())

    @property
    def left(self) -> float:
        """Seconds that the step under way still has."""
        return max(0.0, self._until - time.monotonic())

    def begin_step(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def cortex(self, *words: str | Path, **variables: str) -> str:
        """What a verb of the kit prints, within the time that the step has. Raises CortexError where it fails."""
        return self.verbs.call(*words, seconds=self.left, **variables)

    def begin(self, run: str) -> None:
        """From now on there may be something of a run to be ended."""
        self.begun[run] = time.monotonic()

    def entered(self) -> list[str]:
        """The runs that are in the bucket: a launch that failed early, or was cut off, may have entered none."""
        return [run for run in self.begun if self.store.exists(f"runs/{run}/profile.json")]

    def launch(self, run: str, *words: str | Path) -> None:
        """Have a run submitted by `cortex launch`. Raises CortexError where it is not."""
        self.begin(run)
        self.cortex("launch", "--run", run, "--yes", "--no-follow", *words, **{SECRET: self.secret})
        self.submitted.add(run)

    def look(self, run: str, *, ask_skypilot: bool = True) -> RunStatus:
        """How a run stands. Raises StoreError where the bucket does not answer."""
        key = f"{run} {ask_skypilot}"
        if key not in self._watchers:
            jobs = JobWatcher(run, home=self.settings.home) if ask_skypilot else None
            self._watchers[key] = RunWatcher(self.store, run, jobs=jobs)
        status = self._watchers[key].look()
        self._spent[run] = status.spent
        return status

    def keep_skypilot_logs(self, run: str, *, controller: bool = False) -> None:
        """Have SkyPilot print what a run's tasks wrote, or their controller, among what the verbs said. Of a job that
        has ended it prints no more, and `leaks` sees whether it ever did."""
        job = self.look(run).launch
        if job and "job" in job:
            words = ["jobs", "logs", str(job["job"]), "--no-follow", *(["--controller"] if controller else [])]
            with suppress(StageError):
                self.verbs.program([Path(sys.executable).with_name("sky"), *words], SKYPILOT_LOGS, min(self.left, 120))

    def events(self, kind: str, *, ask_skypilot: bool = True) -> list[Event]:
        """The entries of a kind in the main run's ledger, as it was last read."""
        watcher = self._watchers.get(f"{self.run} {ask_skypilot}")
        return [event for event in watcher.follower.events if event["event"] == kind] if watcher else []

    def wait_for(self, look: Callable[[], T | None], what: str, every: float = EVERY) -> T:
        """Look until something is there. A bucket that does not answer is asked again: the laptop may be offline.

        Raises:
            StageError: it has not come about in the time that the step has.
            CortexError: it cannot come about any more, says `look`.
        """
        why = ""
        while True:
            try:
                found, why = look(), ""
                if found:
                    return found
            except StoreError as error:
                why = f": {error}"
            if not self.left:
                raise StageError(f"{what} has not come about in time{why}")
            time.sleep(min(every, max(0.1, self.left)))

    def status_while_alive(self, *, ask_skypilot: bool = True) -> RunStatus:
        """How the main run stands. Raises StageError where nothing more will come of it."""
        status = self.look(self.run, ask_skypilot=ask_skypilot)
        if status.over and status.state != "done":
            reason = status.given_up or (status.stage.reason if status.stage else None) or str(status.job or "")
            raise StageError(f"run {self.run} is {status.state}: {reason}; `cortex logs {self.run}` has its last words")
        return status
