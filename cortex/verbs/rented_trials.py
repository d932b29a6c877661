"""Trials of a search as launched runs: each is submitted, resumed and stopped as any run is."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cortex.errors import StageError
from cortex.verbs.launch_steps import LaunchOptions, Relaunch, start_run

if TYPE_CHECKING:
    from cortex.artifacts.store import Store
    from cortex.fleet.launch.jobs import Jobs
    from cortex.profiles.profile import Profile

POLL_SECONDS = 60.0
"""Seconds between two questions to SkyPilot's server: trials take hours."""


@dataclass(frozen=True)
class RentedTrials:
    """A managed job for each trial."""

    store: "Store"
    jobs: "Jobs"
    options: LaunchOptions
    """Of every launch; nothing is asked again."""
    stage: str
    """The last training stage, after which a trial's job ends."""
    launch: "Callable[[str, Profile, LaunchOptions, Relaunch | None], None]" = start_run
    asked: dict[str, tuple[float, bool]] = field(default_factory=dict[str, tuple[float, bool]])
    """The time and the answer of the last question about each run."""

    def start(self, run: str, profile: "Profile") -> None:
        self._launch(run, profile, self.stage)

    def running(self, run: str) -> bool:
        asked_at, answer = self.asked.get(run, (float("-inf"), False))
        if time.monotonic() - asked_at >= POLL_SECONDS:
            answer = bool(self._jobs_of(run))
            self.asked[run] = time.monotonic(), answer
        return answer

    def stop(self, run: str) -> None:
        from cortex.fleet.launch.run_launch import stop

        stop(run, self.store, self.jobs)
        self.asked.pop(run, None)

    def log_of(self, run: str) -> str:
        return f"`cortex logs {run}`"

    def judge(self, run: str, profile: "Profile", dollars: float | None) -> None:
        from cortex.artifacts.artifact import find
        from cortex.runs.context import artifact_prefix

        while self.running(run):  # its machines are given back; a run that still has some cannot be launched
            time.sleep(POLL_SECONDS / 10)
        if not find(self.store, artifact_prefix(run, "release")):
            self._launch(run, profile, None, dollars)
        while self.running(run):
            time.sleep(POLL_SECONDS / 10)
        if not find(self.store, artifact_prefix(run, "release")):
            raise StageError(f"run {run} was chosen, and its judging did not end: see `cortex logs {run}`")

    def _jobs_of(self, run: str) -> Sequence[str]:
        return tuple(self.jobs.of_run(run))

    def _launch(self, run: str, profile: "Profile", through: str | None, dollars: float | None = None) -> None:
        from cortex.runs.budget import cap, launched_at
        from cortex.runs.ledger import LedgerReader

        events = LedgerReader(self.store, run, ticks=1).new_events()
        limit = cap(events, profile.budget.dollars)
        again = None
        if launched_at(events) is not None:
            more = dollars if dollars is not None and 0 < limit < dollars else None
            again = Relaunch(events, more or limit, budget=more)
        self.launch(run, profile, replace(self.options, through=through), again)
        self.asked[run] = time.monotonic(), True
