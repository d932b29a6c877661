"""A trial's outcome so far, from its run's ledger and artifacts alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.errors import PreemptedError
from cortex.runs.budget import spent
from cortex.runs.context import artifact_prefix
from cortex.runs.run_state import RunFollower
from cortex.runs.stage_list import STAGES
from cortex.runs.trial_record import TrialRecord

State = Literal["under way", "finished", "behind", "failed"]


@dataclass(frozen=True)
class Outcome:
    """One look at a trial."""

    trial: TrialRecord
    state: State
    curve: Mapping[int, float] = field(default_factory=dict[int, float])
    """The validated loss of the last training stage, by step."""
    spent: float = 0.0
    """Dollars that its run has cost so far."""
    reason: str = ""
    """The reason for which it failed, or was stopped."""

    @property
    def value(self) -> float | None:
        """The lowest validated loss, whose weights a run releases; None before the first."""
        return min(self.curve.values(), default=None)


class TrialFollower:
    """Reads a trial's run; each look reads only what is new."""

    def __init__(self, store: Store, trial: TrialRecord, stage: str, metric: str) -> None:
        """`stage` is the last training stage, `metric` the figure of its validations."""
        self.trial = trial
        self._store, self._stage, self._metric = store, stage, metric
        self._follower = RunFollower(store, trial.run, list(STAGES), ticks=1)

    def look(self) -> Outcome:
        """The outcome as the bucket has it now, without regard to other trials."""
        finished = find(self._store, artifact_prefix(self.trial.run, self._stage)) is not None
        self._follower.update()
        events = self._follower.events
        curve = {
            int(event["step"]): float(event["values"][self._metric])
            for event in events
            if event["event"] == "validated" and event["stage"] == self._stage and self._metric in event["values"]
        }
        state: State = "finished" if finished else "under way"
        reason = "" if finished else self._failure()
        if reason:
            state = "failed"
        elif finished and not curve:
            state, reason = "failed", f"{self._stage} ended without a validated loss that is a number"
        return Outcome(self.trial, state, curve, spent(events), reason)

    def _failure(self) -> str:
        """The reason why a stage failed for good; empty where none did. A preempted one goes on."""
        for report in self._follower.stages.values():
            if report.state == "failed" and report.code not in (None, PreemptedError.exit_code):
                return f"{report.name}: {report.reason}"
        return ""
