"""State of a run, from its ledger, which any laptop with the bucket can read. The SkyPilot server that launched the run
knows more about the time before its machine's first entry, and after the last."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store
from cortex.errors import BudgetError, PreemptedError
from cortex.fleet.watch.job_state import JobState, JobWatcher, can_ask, newest_launch
from cortex.runs.budget import Charge, cap, charges
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.deadline_standing import Deadline
from cortex.runs.events import order
from cortex.runs.ledger import READERS, Event
from cortex.runs.run_state import TICKS, RunFollower, StageReport
from cortex.runs.stage_list import STAGES

State = Literal["waiting", "running", "silent", "recovering", "failed", "over budget", "stopped", "done"]

ENDED: frozenset[State] = frozenset({"failed", "over budget", "stopped", "done"})
"""States that a run does not leave by itself."""


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment."""

    run: str
    profile: str
    bucket: str
    now: float
    state: State
    """`recovering`: preempted, and not yet started again; `waiting`: for its first machine, between two stages, or
    launched again; `stopped`: also a run whose machines were torn down before it was done."""
    stages: tuple[StageReport, ...]
    stage: StageReport | None
    """The stage that was started last."""
    charges: tuple[Charge, ...]
    budget: float
    """0 sets no limit."""
    seen: float | None
    """Time of the last write of any of its machines, in seconds since 1970 by the bucket's clock, as `now`."""
    damaged: tuple[str, ...]
    """Objects of the ledger that could not be read whole."""
    launch: Event | None
    """The newest `launched`, or `launching`, with the time at which the launch began; None for a run that was never
    launched."""
    given_up: str | None = None
    """The reason why `cortex watch` gave up the run's launches, where nothing was started since."""
    job: JobState | None = None
    """The job's state by SkyPilot; None where its server here does not know the run, or was not asked."""
    unasked: str | None = None
    """The reason why SkyPilot could not be asked."""
    unwatched: bool = False
    """True where this machine is the one to watch the run's launches, and no watcher runs on it."""
    deadline: Deadline | None = None
    decision: Event | None = None
    """The newest `deadline_decision` of any machine."""

    @property
    def spent(self) -> float:
        return sum(charge.dollars for charge in self.charges)

    @property
    def machine(self) -> Charge | None:
        """The machine that works, or worked last."""
        return max(self.charges, key=lambda charge: charge.until, default=None)

    @property
    def over(self) -> bool:
        """True where the run will not go on by itself."""
        return self.state in ENDED or (self.job is not None and self.job.ended)

    def with_job(self, watcher: JobWatcher) -> "RunStatus":
        """The same status with SkyPilot's answer: a run whose job has ended is over, whatever its ledger says."""
        job, state = watcher.state, self.state
        if job and job.ended and state not in ENDED and job.state != "succeeded":
            state = "failed" if job.failed else "stopped"
        return replace(self, job=job, unasked=watcher.unasked, unwatched=watcher.unwatched, state=state)

    def to_json(self) -> dict[str, Any]:
        """The output of `cortex status RUN --json`."""
        stage, machine = self.stage, self.machine
        return {
            "run": self.run,
            "profile": self.profile,
            "bucket": self.bucket,
            "state": self.state,
            "stage": stage.name if stage else None,
            "step": stage.step if stage else None,
            "total": stage.total if stage else None,
            "values": (stage.values if stage else None) or {},
            "validated": stage.validated if stage else None,
            "validation": (stage.validation if stage else None) or {},
            "seconds_left": stage.seconds_left if stage else None,
            "attempts": sum(report.attempts for report in self.stages),
            "preemptions": sum(report.preemptions for report in self.stages),
            "spent": round(self.spent, 6),
            "budget": self.budget,
            "machine": machine.to_json() if machine else None,
            "seen": self.seen,
            "silent_seconds": round(self.now - self.seen, 1) if self.seen else None,
            "reason": self.given_up or (stage.reason if stage else None),
            "stages": [report.to_json() | {"preemptions": report.preemptions} for report in self.stages],
            "damaged": list(self.damaged),
            "deadline": _deadline_json(self),
            "skypilot": self.job.to_json() if self.job else None,
            "skypilot_unasked": self.unasked,
            "unwatched": self.unwatched,
        }


class RunWatcher:
    """Reads the status of one run repeatedly; ledger entries that were read are not read again."""

    def __init__(self, store: Store, run: str, *, workers: int = READERS, jobs: JobWatcher | None = None) -> None:
        """Raises UsageError for a run that does not exist. With `jobs`, SkyPilot is asked where it may know more."""
        self._store, self._run, self._jobs = store, run, jobs
        self._profile = load_run(store, run)
        names = [stage.name for stage in STAGES.values() if stage.wanted(self._profile)]
        self.follower = RunFollower(store, run, names, TICKS)
        self.follower.reader.workers = workers

    def look(self, *, wait: bool = False) -> RunStatus:
        """Read new entries, and return the status. With `wait`, wait for SkyPilot's answer."""
        self.follower.update()
        status = self._status()
        if not self._jobs:
            return status
        if status.launch and status.state not in ENDED and can_ask():
            (self._jobs.look if wait else self._jobs.ask)(status.launch)
        return status.with_job(self._jobs)

    def _status(self) -> RunStatus:
        """The status by the entries read so far."""
        follower = self.follower
        self._confirm(list(follower.stages.values()))
        reports, events = tuple(follower.stages.values()), follower.events
        begun = [report for report in reports if report.epoch is not None]
        newest = max(begun, key=lambda report: report.epoch or 0, default=None)
        costs = charges(events)
        given_up = _given_up(events)
        return RunStatus(
            run=self._run,
            profile=self._profile.name,
            bucket=self._store.url,
            now=self._store.now(),
            state="failed" if given_up else _state(reports, newest, events),
            stages=reports,
            stage=newest,
            charges=costs,
            budget=cap(events, self._profile.budget.dollars),
            seen=follower.heard,
            damaged=tuple(follower.reader.damaged),
            given_up=given_up,
            launch=newest_launch(events),
            deadline=Deadline.read(events),
            decision=max((event for event in events if event["event"] == "deadline_decision"), key=order, default=None),
        )

    def _confirm(self, reports: list[StageReport]) -> None:
        """Set stages to done whose artifact is complete, though their machine was killed before it wrote so."""
        open_ones = [report for report in reports if report.state in ("silent", "failed", "waiting")]
        keys = [f"{artifact_prefix(self._run, report.name)}/{MANIFEST}" for report in open_ones]
        if keys:
            for report, there in zip(open_ones, in_parallel(self._store.exists, keys, len(keys)), strict=True):
                report.state = "done" if there else report.state


def _deadline_json(status: RunStatus) -> dict[str, Any] | None:
    deadline, decision = status.deadline, status.decision or {}
    if deadline is None:
        return None
    said = {name: decision.get(name) for name in ("decision", "reason", "slack")}
    return {"at": deadline.at, "hours": deadline.hours, "seconds_left": round(deadline.at - status.now, 1), **said}


def read_status(store: Store, run: str, *, workers: int = READERS) -> RunStatus:
    """A run's status now, by its ledger. Raises UsageError for a run that does not exist."""
    return RunWatcher(store, run, workers=workers).look()


def _given_up(events: list[Event]) -> str | None:
    """The reason why the run's launches were given up; None where they were not, or a later epoch was taken since."""
    last = max((event["epoch"] for event in events), default=0)
    found = [event for event in events if event["event"] == "given_up" and event["epoch"] == last]
    return str(found[-1]["reason"]) if found else None


def _state(reports: tuple[StageReport, ...], newest: StageReport | None, events: list[Event]) -> State:
    if all(report.state == "done" for report in reports[-1:]):
        return "done"
    # Compared by epochs, which give the order of events; clocks of different machines do not.
    last_word = max((event["epoch"] for event in events if event["event"] in ("stopped", "teardown")), default=0)
    launched = max((event["epoch"] for event in events if event["event"] == "launched"), default=0)
    begun = (newest.epoch if newest else None) or 0
    if last_word > max(launched, begun):
        return "stopped"
    if newest is None or newest.state in ("waiting", "done"):
        return "waiting"
    if launched > begun:
        return "waiting"
    if newest.state != "failed":
        return newest.state
    codes: dict[int, State] = {BudgetError.exit_code: "over budget", PreemptedError.exit_code: "recovering"}
    return codes.get(newest.code or 1, "failed")
