"""How a run stands, read from its bucket alone: the ledger says what happened, the manifests what exists."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.runs.context import artifact_prefix
from cortex.runs.ledger import Event, LedgerReader

State = Literal["waiting", "running", "failed", "done"]


@dataclass
class StageReport:
    """One stage as the ledger tells it."""

    name: str
    state: State = "waiting"
    seconds: float = 0.0
    """Of all attempts that ended."""
    attempts: int = 0
    manifest: str | None = None
    started: float | None = None
    """When the attempt under way began, in seconds since 1970."""
    step: int | None = None
    total: int | None = None
    values: dict[str, float] | None = None
    """What was measured last, such as `loss`."""
    reason: str | None = None
    """Why the last attempt failed."""

    def to_json(self) -> dict[str, Any]:
        keys = ("name", "state", "attempts", "manifest")
        return {key: getattr(self, key) for key in keys} | {"seconds": round(self.seconds, 1)}


class RunFollower:
    """Keeps the reports of a run's stages up to date."""

    def __init__(self, store: Store, run: str, stages: list[str]) -> None:
        self.stages = {name: StageReport(name) for name in stages}
        self._reader = LedgerReader(store, run)
        self._by_epoch: dict[int, StageReport] = {}
        self._newest: dict[str, int] = {}

    def update(self) -> None:
        """Take in what the ledger holds by now."""
        for event in self._reader.new_events():
            self._take(event)

    def _take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "stage_started" and event["stage"] in self.stages:
            report = self.stages[event["stage"]]
            self._by_epoch[event["epoch"]] = report
            self._newest[report.name] = max(event["epoch"], self._newest.get(report.name, 0))
            report.state, report.started, report.reason = "running", event["time"], None
            report.attempts += 1
        report = self._by_epoch.get(event["epoch"])
        if report is None:
            return
        if kind in ("stage_finished", "stage_failed"):
            report.seconds += event["seconds"]
        if event["epoch"] < self._newest[report.name]:
            return  # an attempt that lost the run to a later one says nothing of how the stage stands
        if kind == "progress":
            report.step, report.total = event["step"], event["total"]
            known = {"time", "epoch", "event", "step", "total"}
            report.values = {key: value for key, value in event.items() if key not in known}
        elif kind in ("stage_finished", "stage_failed"):
            report.state = "done" if kind == "stage_finished" else "failed"
            report.manifest = event.get("manifest")
            report.reason = event.get("reason")
            report.started = None


def stage_reports(store: Store, run: str, stages: list[str]) -> list[StageReport]:
    """Every stage of a run; a complete artifact is done, whatever became of the process that made it."""
    follower = RunFollower(store, run, stages)
    follower.update()
    for report in follower.stages.values():
        manifest = find(store, artifact_prefix(run, report.name))
        if manifest:
            report.state, report.manifest = "done", manifest.digest
        elif report.state == "done":
            report.state, report.manifest = "waiting", None
    return list(follower.stages.values())


def release_path(store: Store, run: str) -> str:
    """Where a run's release lies: a folder's path, or its URL."""
    local: Path | None = store.local_path(artifact_prefix(run, "release"))
    return str(local) if local else f"{store.url}/{artifact_prefix(run, 'release')}"
