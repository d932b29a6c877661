"""How a run stands, from its ledger alone: any laptop with the bucket can tell, whoever launched it."""

import time
from dataclasses import dataclass
from typing import Any, Literal

from rich.text import Text

from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.errors import BudgetError, PreemptedError
from cortex.live import LiveStages, duration, stage_table
from cortex.runs.budget import Charge, cap, charges
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.ledger import READERS, Event
from cortex.runs.report import TICKS, RunFollower, StageReport
from cortex.runs.stages import STAGES

State = Literal["waiting", "running", "silent", "recovering", "failed", "over budget", "stopped", "done"]

ENDED: frozenset[State] = frozenset({"failed", "over budget", "stopped", "done"})
"""What a run does not leave by itself."""

FOLLOW_SECONDS = 3.0
"""Between two looks of one who follows."""


@dataclass(frozen=True)
class RunStatus:
    """A run at one moment."""

    run: str
    profile: str
    bucket: str
    now: float
    state: State
    """`recovering`: preempted, and not yet begun again; `waiting`: for its first machine, between two stages, or
    launched again; `stopped`: also torn down before it was done."""
    stages: tuple[StageReport, ...]
    stage: StageReport | None
    """The one that was begun last."""
    charges: tuple[Charge, ...]
    budget: float
    """0 sets no limit."""
    seen: float | None
    """When the bucket last heard of any of its machines, in seconds since 1970 by the bucket's clock, as `now`."""
    damaged: tuple[str, ...]
    """Objects of the ledger that could not be read whole."""

    @property
    def spent(self) -> float:
        return sum(charge.dollars for charge in self.charges)

    @property
    def machine(self) -> Charge | None:
        """The one that works, or worked last."""
        return max(self.charges, key=lambda charge: charge.until, default=None)

    def to_json(self) -> dict[str, Any]:
        """What `cortex status RUN --json` prints."""
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
            "reason": stage.reason if stage else None,
            "stages": [report.to_json() | {"preemptions": report.preemptions} for report in self.stages],
            "damaged": list(self.damaged),
        }


class RunWatcher:
    """Looks at one run, again and again; what was read once is not read again."""

    def __init__(self, store: Store, run: str, *, workers: int = READERS) -> None:
        """Raises UsageError for a run that does not exist."""
        self._store, self._run, self._workers = store, run, workers
        self._profile = load_run(store, run)
        names = [stage.name for stage in STAGES.values() if stage.wanted(self._profile)]
        self.follower = RunFollower(store, run, names, TICKS)
        self.follower.reader.workers = workers

    def look(self) -> RunStatus:
        """Read what is new, and say how the run stands."""
        self.follower.update()
        return self.status()

    def status(self) -> RunStatus:
        """How it stands by what was read."""
        follower = self.follower
        self._confirm(list(follower.stages.values()))
        reports, events = tuple(follower.stages.values()), follower.events
        begun = [report for report in reports if report.epoch is not None]
        newest = max(begun, key=lambda report: report.epoch or 0, default=None)
        costs = charges(events)
        return RunStatus(
            run=self._run,
            profile=self._profile.name,
            bucket=self._store.url,
            now=self._store.now(),
            state=_state(reports, newest, events),
            stages=reports,
            stage=newest,
            charges=costs,
            budget=cap(events, self._profile.budget.dollars),
            seen=follower.heard,
            damaged=tuple(follower.reader.damaged),
        )

    def _confirm(self, reports: list[StageReport]) -> None:
        """A stage whose artifact is there is done, though its maker was killed before it could say so."""
        open_ones = [report for report in reports if report.state in ("silent", "failed", "waiting")]
        keys = [f"{artifact_prefix(self._run, report.name)}/{MANIFEST}" for report in open_ones]
        if keys:
            for report, there in zip(open_ones, in_parallel(self._store.exists, keys, len(keys)), strict=True):
                report.state = "done" if there else report.state


def read_status(store: Store, run: str, *, workers: int = READERS) -> RunStatus:
    """How a run stands now. Raises UsageError for a run that does not exist."""
    return RunWatcher(store, run, workers=workers).look()


def follow(store: Store, run: str, console: Console, *, every: float = FOLLOW_SECONDS) -> None:
    """Show a run until it has ended, or Ctrl-C: a live table on a terminal, a line for each change elsewhere."""
    watcher = RunWatcher(store, run)
    latest = watcher.look()
    try:
        with LiveStages(watcher.follower, console, lambda: summary(latest)) as live:
            while latest.state not in ENDED:
                live.refresh()
                time.sleep(every)
                latest = watcher.look()
    except KeyboardInterrupt:
        console.print(f"no longer following; {run} goes on: `cortex status {run} --follow` comes back", soft_wrap=True)
        return
    console.print(summary(latest), soft_wrap=True)


def print_status(status: RunStatus, console: Console) -> None:
    """The status for people."""
    console.print(
        Text.assemble((status.run, "bold"), f"  profile {status.profile}  in {status.bucket}"), soft_wrap=True
    )
    console.print(stage_table(status.stages))
    console.print(summary(status), soft_wrap=True)


def summary(status: RunStatus) -> str:
    """State, money, machine and sign of life, and what is to be said besides, in lines."""
    of = f" of ${status.budget:.2f}" if status.budget else ""
    words = [status.state, f"spent ${status.spent:.2f}{of}"]
    if machine := status.machine:
        words.append(place(machine))
    if status.seen:
        words.append(f"last sign of life {duration(max(0.0, status.now - status.seen))} ago")
    lines = ["  ·  ".join(words)]
    if status.stage and status.stage.reason and status.state in ("failed", "over budget", "recovering"):
        lines.append(f"{status.stage.name}: {status.stage.reason}")
    if status.damaged:
        count, first = len(status.damaged), f"{status.bucket}/{status.damaged[0]}"
        lines.append(
            f"{count} damaged object{'s' if count > 1 else ''} of the ledger, from {first}: what could not be read of "
            "it is missing here"
        )
    return "\n".join(lines)


def place(machine: Charge) -> str:
    """Which machine, and where: `i-0123 (aws us-east-1b p5.48xlarge spot, $31.50/h)`."""
    where = [machine.cloud, machine.zone or machine.region, machine.instance_type, "spot" if machine.spot else None]
    words = " ".join(word for word in where if word)
    return f"{machine.machine} ({words + ', ' if words else ''}${machine.dollars_per_hour:.2f}/h)"


def _state(reports: tuple[StageReport, ...], newest: StageReport | None, events: list[Event]) -> State:
    if all(report.state == "done" for report in reports[-1:]):
        return "done"
    # By epochs, which tell what came after what, as clocks do not.
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
