"""The state of a run, read from its bucket alone: from the ledger's events, and the manifests that exist."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.errors import PreemptedError
from cortex.runs.budget import SIGNS
from cortex.runs.context import artifact_prefix
from cortex.runs.events import CLOUDS_WORD, Event
from cortex.runs.learned_reward import Misled
from cortex.runs.ledger import LedgerReader

State = Literal["waiting", "running", "silent", "failed", "done"]

SILENT_SECONDS = 200.0
"""A stage without an entry for so long is reported as silent: its machine gives a sign of life each minute."""

TICKS = 3
"""Newest progress objects of each writer that are read: enough to compute a pace."""


@dataclass
class StageReport:
    """The state of one stage, from the ledger."""

    name: str
    state: State = "waiting"
    """`silent`: the stage gave no sign of life for a while; its machine is gone, or cannot reach the bucket."""
    seconds: float = 0.0
    """Seconds of all attempts that ended."""
    attempts: int = 0
    preemptions: int = 0
    """Attempts that ended because their machine was taken away: with a notice, or killed and followed by another."""
    manifest: str | None = None
    started: float | None = None
    """The beginning of the running attempt, in seconds since 1970 by the bucket's clock."""
    under_way: float = 0.0
    """Seconds that the running attempt has taken so far, by the bucket's clock: machines' and laptops' may disagree."""
    seen: float | None = None
    """The newest attempt's last sign of life, in seconds since 1970 by the bucket's clock."""
    epoch: int | None = None
    """The newest attempt's epoch."""
    step: int | None = None
    total: int | None = None
    values: dict[str, float] | None = None
    """The values measured last, such as `loss`."""
    validated: int | None = None
    """The last step that was validated on held-out examples."""
    validation: dict[str, float] | None = None
    """The values measured in that validation, such as `answer_loss` or `loss`."""
    code: int | None = None
    """The exit code of the last attempt, if it failed."""
    reason: str | None = None
    """The reason why the last attempt failed."""
    misled: str | None = None
    """The rise of its reward while the truth fell, in words; None where there was none."""
    pace: float | None = None
    """Seconds per step, from the newest attempt's last steps."""

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the last step; None while they cannot be estimated."""
        if self.pace is None or self.step is None or self.total is None or self.state != "running":
            return None
        return max(0, self.total - self.step) * self.pace

    def to_json(self) -> dict[str, Any]:
        keys = ("name", "state", "attempts", "manifest")
        found = {key: getattr(self, key) for key in keys} | {"seconds": round(self.seconds, 1)}
        return found | ({"misled": self.misled} if self.misled else {})


@dataclass
class _Attempt:
    """One epoch's work at a stage."""

    report: StageReport
    steps: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """The times and numbers of its last steps."""
    ended: bool = False
    given_up: bool = False
    """True if a later attempt began before this one had reported its end."""


class RunFollower:
    """Keeps the reports of a run's stages up to date."""

    def __init__(
        self,
        store: Store,
        run: str,
        stages: list[str],
        ticks: int | None = None,
    ) -> None:
        """`ticks` is passed on to `LedgerReader`."""
        self.stages = {name: StageReport(name) for name in stages}
        self.events: list[Event] = []
        """All events that were read, in the order of their epochs."""
        self.heard: float | None = None
        """The time of the last event from any machine, by the bucket's clock."""
        self.reader = LedgerReader(store, run, ticks=ticks)
        self._store = store
        self._attempts: dict[int, _Attempt] = {}

    def update(self) -> None:
        """Read the new events of the ledger."""
        if entries := self.reader.new_entries():
            self.events = sorted([*self.events, *(entry.event for entry in entries)], key=lambda event: event["epoch"])
            for entry in entries:
                if entry.event["event"] in CLOUDS_WORD:
                    continue
                self._add_event(entry.event, entry.written)
                if entry.event["event"] in SIGNS or entry.event["epoch"] in self._attempts:
                    self.heard = max(self.heard or 0.0, entry.written)
        for report in self.stages.values():
            report.under_way = 0.0
            if report.state in ("running", "silent"):
                now = self._store.now()
                report.state = "silent" if now - (report.seen or 0.0) > SILENT_SECONDS else "running"
                if report.state == "running" and report.started is not None:
                    report.under_way = max(0.0, now - report.started)

    def _add_event(self, event: Event, written: float) -> None:
        kind, epoch = event["event"], event["epoch"]
        attempt = self._attempts.get(epoch)
        if kind == "stage_started" and event["stage"] in self.stages:
            if attempt is None or attempt.report.name != event["stage"]:
                self._begin(event, written)
            attempt = self._attempts[epoch]
        if attempt is None:
            return
        report = attempt.report
        if kind in ("stage_finished", "stage_failed") and not attempt.ended:
            attempt.ended = True
            report.seconds += event.get("seconds", 0.0)
            # An attempt that was given up, but reports its end after all, was not killed: its report counts.
            report.preemptions += _was_preempted(event) - attempt.given_up
        if epoch < (report.epoch or 0):
            return  # an attempt that lost its lease to a later one does not change the stage's state
        report.seen = max(written, report.seen or 0.0)
        if kind == "progress":
            self._progress(attempt, event)
        elif kind == "validated" and event["stage"] == report.name:
            report.validated, report.validation = event["step"], event["values"]
        elif kind == "misled" and event["stage"] == report.name:
            figures = {key: event[key] for key in Misled.model_fields}
            report.misled = Misled(**figures).words
        elif kind in ("stage_finished", "stage_failed"):
            report.state = "done" if kind == "stage_finished" else "failed"
            report.manifest = event.get("manifest")
            report.code, report.reason = event.get("code"), event.get("reason")
            report.started = None

    def _begin(self, event: Event, written: float) -> None:
        epoch, report = event["epoch"], self.stages[event["stage"]]
        for earlier, attempt in self._attempts.items():
            if earlier < epoch and not attempt.ended and not attempt.given_up:
                # An attempt that did not even report a failure was most likely killed.
                attempt.given_up = True
                attempt.report.preemptions += 1
        self._attempts[epoch] = _Attempt(report)
        report.attempts += 1
        if epoch >= (report.epoch or 0):
            report.epoch, report.state, report.started, report.seen = epoch, "running", written, written
            report.code, report.reason, report.pace = None, None, None
            report.step, report.total, report.values, report.misled = None, None, None, None

    @staticmethod
    def _progress(attempt: _Attempt, event: Event) -> None:
        report = attempt.report
        known = {"time", "epoch", "event", "step", "total"}
        values = {key: value for key, value in event.items() if key not in known}
        # A step with many measurements is reported in several events.
        report.values = (report.values or {}) | values if event["step"] == report.step else values
        report.step, report.total = event["step"], event["total"]
        attempt.steps = [*attempt.steps[-50:], (event["time"], event["step"])]
        (began, first), (now, last) = attempt.steps[0], attempt.steps[-1]
        report.pace = (now - began) / (last - first) if last > first else None


def _was_preempted(event: Event) -> bool:
    """Tell if an attempt ended by a notice. The reason is checked, since a hung one has the same exit code."""
    return event.get("code") == PreemptedError.exit_code and str(event.get("reason")).startswith(
        PreemptedError.__name__
    )


def stage_reports(store: Store, run: str, stages: list[str]) -> list[StageReport]:
    """The state of every stage of a run. A stage with a complete artifact is done, even if its process was killed."""
    follower = RunFollower(store, run, stages, ticks=TICKS)
    follower.update()
    for report in follower.stages.values():
        manifest = find(store, artifact_prefix(run, report.name))
        if manifest:
            report.state, report.manifest = "done", manifest.digest
        elif report.state == "done":
            report.state, report.manifest = "waiting", None
    return list(follower.stages.values())


def release_path(store: Store, run: str) -> str:
    """The place of a run's release: a folder's path, or a URL."""
    local: Path | None = store.local_path(artifact_prefix(run, "release"))
    return str(local) if local else f"{store.url}/{artifact_prefix(run, 'release')}"
