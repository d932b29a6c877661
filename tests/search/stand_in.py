"""A stand-in for trials: their ledgers and artifacts are real, and only the training is a formula."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import artifact_prefix
from cortex.runs.ledger import Ledger
from cortex.search.search_cap import SearchCap
from cortex.search.search_plan import SearchPlan, check_plan, read_search
from cortex.search.search_session import SearchSession
from cortex.search.search_state import SearchState
from cortex.settings import Settings

STEPS = (10, 20, 30)
"""The validations of a trial."""

STAGE = "grpo"

Objective = Callable[[Profile, int], float]
"""The validated loss of a profile at a step."""


class KilledError(BaseException):
    """A signal that cannot be caught, or the failure of the machine that searches."""


def learning_rate_loss(profile: Profile, step: int) -> float:
    """A loss that is lowest at a learning rate of 1e-3, and falls as the training goes on."""
    assert profile.grpo
    return 0.1 + 0.05 * (math.log10(profile.grpo.learning_rate) + 3) ** 2 + 0.1 / step


@dataclass
class Formula:
    """Trials that train by a formula: one validation each time somebody asks whether they are running."""

    store: Store
    folder: Path
    loss: Objective = learning_rate_loss
    fails: Callable[[Profile], bool] = lambda profile: False
    dollars_per_step: float = 0.0
    killed_after: int | None = None
    """Number of validations after which whoever asks is killed."""
    steps: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """The steps that are left of each run."""
    profiles: dict[str, Profile] = field(default_factory=dict[str, Profile])
    ledgers: dict[str, Ledger] = field(default_factory=dict[str, Ledger])
    started: list[str] = field(default_factory=list[str])
    stopped: list[str] = field(default_factory=list[str])
    judged: list[str] = field(default_factory=list[str])
    most_at_once: int = 0
    allowed: float | None = None
    """The dollars that the winner was allowed in all."""
    _validations: int = 0

    def start(self, run: str, profile: Profile) -> None:
        self.started.append(run)
        self.profiles[run] = profile
        done = {int(path.name) for path in (self.folder / run).glob("*")}  # its checkpoints
        self.steps[run] = [step for step in STEPS if step not in done]
        ledger = self.ledgers[run] = Ledger(self.store, run, Lease.take(self.store, run).epoch)
        machine: dict[str, Any] = {"machine": f"m-{run}-{ledger.epoch}", "since": ledger.clock()}
        ledger.append("machine_started", **machine, dollars_per_hour=self.dollars_per_step, seconds=0.0)
        ledger.append("stage_started", stage=STAGE)
        self.most_at_once = max(self.most_at_once, len(self.steps))

    def running(self, run: str) -> bool:
        if run not in self.steps:
            return False
        ledger, profile = self.ledgers[run], self.profiles[run]
        if self.fails(profile):
            ledger.append("stage_failed", stage=STAGE, seconds=1.0, code=1, reason="StageError: it diverged")
            del self.steps[run]
            return False
        if not self.steps[run]:
            self._finish(run, STAGE)
            del self.steps[run]
            return False
        if self._validations == self.killed_after:
            raise KilledError
        self._validations += 1
        self._validate(run, self.steps[run].pop(0))
        return True

    def stop(self, run: str) -> None:
        self.stopped.append(run)
        del self.steps[run]

    def log_of(self, run: str) -> str:
        return f"the log of {run}"

    def judge(self, run: str, profile: Profile, dollars: float | None) -> None:
        self.judged.append(run)
        self.allowed = dollars
        for stage in ("evaluate", "release"):
            self._finish(run, stage)

    def _validate(self, run: str, step: int) -> None:
        ledger = self.ledgers[run]
        values = {"answer_loss": self.loss(self.profiles[run], step)}
        ledger.append("validated", stage=STAGE, step=step, values=values)
        machine = f"m-{run}-{ledger.epoch}"
        started = next(event for event in self._events(run) if event.get("machine") == machine)
        hours = len(STEPS) - len(self.steps[run])
        ledger.append("machine_alive", machine=machine, since=started["since"], seconds=3600.0 * hours)
        (self.folder / run).mkdir(parents=True, exist_ok=True)
        (self.folder / run / str(step)).write_text("a checkpoint")

    def _events(self, run: str) -> list[dict[str, Any]]:
        from cortex.runs.ledger import LedgerReader

        return LedgerReader(self.store, run).new_events()

    def _finish(self, run: str, stage: str) -> None:
        if find(self.store, artifact_prefix(run, stage)) is None:
            folder = self.folder / "made" / run / stage
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "weights").write_text(run)
            publish(folder, self.store, artifact_prefix(run, stage), kind=stage)


def make_plan(
    over: Mapping[str, Any], *, profile: Profile | None = None, launch: bool = False, **keys: Any
) -> SearchPlan:
    """A checked plan over the rehearsal's profile."""
    plan = read_search({"over": dict(over), **keys}, "search s").plan(
        profile or load_profile("rehearsal"), launch=launch
    )
    check_plan(plan)
    return plan


def session(
    store: Store, trials: Formula, plan: SearchPlan, home: Path, *, cap: SearchCap | None = None
) -> SearchSession:
    """A session of the search `s` that waits for nothing."""
    settings = Settings(home=home)
    return SearchSession(
        SearchState.begin(store, "s", plan), trials, settings, cap, report=lambda line: None, pause=lambda: None
    )
