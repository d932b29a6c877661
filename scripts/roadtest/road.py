"""State that the steps share: the runs that they launch, the status of these runs, and the time left for a step."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cortex.artifacts.store import Store, StoreError
from cortex.errors import StageError
from cortex.fleet.status.run_status import RunStatus, RunWatcher
from cortex.fleet.watch.job_state import JobWatcher
from cortex.profiles.profile import Profile
from cortex.runs.events import Event
from cortex.settings import Settings
from scripts.roadtest.pipeline import SECRET
from scripts.roadtest.verbs import Verbs

EVERY = 5.0
"""Seconds between two reads of the bucket."""

SKYPILOT_LOGS = "sky jobs logs"

T = TypeVar("T")


@dataclass
class Road:
    """One road test under way."""

    run: str
    """The main run, which goes through all stages."""
    wall: str
    """The second run, which the watcher is to end at once."""
    profile: Profile
    profile_path: Path
    wall_profile_path: Path
    pipeline: Path
    wall_pipeline: Path
    settings: Settings
    store: Store
    verbs: Verbs
    secret: str
    """A secret made for this road test alone, which is passed as a user's secrets are."""
    clouds: frozenset[str] = frozenset()
    """Clouds that its machines may be on."""
    regions: tuple[str, ...] = ()
    """Regions of AWS that are searched for what it rented; empty for all that are enabled."""
    offline_seconds: float = 60.0
    """Seconds for which the tunnel to SkyPilot's server is closed."""
    begun: dict[str, float] = field(default_factory=dict[str, float])
    """Start of each run's launch, by `time.monotonic`; these runs have to be ended."""
    submitted: set[str] = field(default_factory=set[str])
    """Runs whose launch has confirmed the submission, so that no further job can appear."""
    reclaimed: str | None = None
    """The machine that the road test has terminated."""
    _watchers: dict[str, RunWatcher] = field(default_factory=dict[str, RunWatcher])
    _spent: dict[str, float] = field(default_factory=dict[str, float])
    _until: float = 0.0

    @property
    def spent(self) -> float:
        """Dollars of its runs, by their ledgers when they were last read."""
        return sum(self._spent.values())

    @property
    def left(self) -> float:
        """Seconds left for the current step."""
        return max(0.0, self._until - time.monotonic())

    def begin_step(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def cortex(self, *words: str | Path, **variables: str) -> str:
        """Call a verb of the kit within the step's time, and return its output. Raises CortexError where it fails."""
        return self.verbs.call(*words, seconds=self.left, **variables)

    def begin(self, run: str) -> None:
        """Note that from now on something of a run may have to be ended."""
        self.begun[run] = time.monotonic()

    def entered(self) -> list[str]:
        """The runs that are in the bucket; a launch that failed early or was cut off may not have created its run."""
        return [run for run in self.begun if self.store.exists(f"runs/{run}/profile.json")]

    def launch(self, run: str, *words: str | Path) -> None:
        """Submit a run by `cortex launch`. Raises CortexError where that fails."""
        self.begin(run)
        self.cortex("launch", "--run", run, "--yes", "--no-follow", *words, **{SECRET: self.secret})
        self.submitted.add(run)

    def look(self, run: str, *, ask_skypilot: bool = True) -> RunStatus:
        """The status of a run. Raises StoreError where the bucket does not answer."""
        key = f"{run} {ask_skypilot}"
        if key not in self._watchers:
            jobs = JobWatcher(run, home=self.settings.home) if ask_skypilot else None
            self._watchers[key] = RunWatcher(self.store, run, jobs=jobs)
        status = self._watchers[key].look()
        self._spent[run] = status.spent
        return status

    def keep_skypilot_logs(self, run: str, *, controller: bool = False) -> None:
        """Save SkyPilot's logs of a run's tasks, or of their controller, beside the verbs' output.

        SkyPilot does not print the logs of a job that has ended, so this is called meanwhile; `leaks` checks that it
        worked at least once."""
        job = self.look(run).launch
        if job and "job" in job:
            words = ["jobs", "logs", str(job["job"]), "--no-follow", *(["--controller"] if controller else [])]
            with suppress(StageError):
                self.verbs.program([Path(sys.executable).with_name("sky"), *words], SKYPILOT_LOGS, min(self.left, 120))

    def events(self, kind: str, *, ask_skypilot: bool = True) -> list[Event]:
        """Entries of a kind in the main run's ledger, when it was last read."""
        watcher = self._watchers.get(f"{self.run} {ask_skypilot}")
        return [event for event in watcher.follower.events if event["event"] == kind] if watcher else []

    def wait_for(self, look: Callable[[], T | None], what: str, every: float = EVERY) -> T:
        """Call `look` until it returns something. A bucket that does not answer is asked again, since the laptop may be
        offline.

        Raises:
            StageError: nothing was returned within the step's time.
            CortexError: `look` raises it where nothing can come any more.
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
        """The status of the main run. Raises StageError where the run is over, but not done."""
        status = self.look(self.run, ask_skypilot=ask_skypilot)
        if status.over and status.state != "done":
            reason = status.given_up or (status.stage.reason if status.stage else None) or str(status.job or "")
            raise StageError(f"run {self.run} is {status.state}: {reason}; `cortex logs {self.run}` has its last words")
        return status
