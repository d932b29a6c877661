"""Table of all runs of a bucket, and the costs of one run."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import MissingObjectError, Store
from cortex.console import Console
from cortex.errors import ConfigError, DataError, UsageError
from cortex.fleet.status.run_status import RunStatus, read_status
from cortex.fleet.status.status_view import place
from cortex.runs.live import duration
from cortex.text import harmless

AT_ONCE, READERS = 12, 4
"""Runs that are read at a time, and objects that are read at a time of each."""


@dataclass(frozen=True)
class Unreadable:
    """A run that cannot be read: made by another version of the kit, or with a damaged profile."""

    run: str
    reason: str


def read_runs(store: Store) -> list[RunStatus | Unreadable]:
    """Every run of a bucket; the run with the most recent sign of life comes last."""

    def read(run: str) -> RunStatus | Unreadable | None:
        try:
            return read_status(store, run, workers=READERS)
        except (UsageError, MissingObjectError):
            return None  # a folder without a profile is no run, nor is one that is being removed
        except (ConfigError, DataError) as error:
            return Unreadable(run, str(error))

    found = [run for run in in_parallel(read, store.folders("runs"), AT_ONCE) if run]
    return sorted(found, key=lambda run: (run.seen or 0.0) if isinstance(run, RunStatus) else -1.0)


def runs_json(runs: list[RunStatus | Unreadable]) -> list[dict[str, Any]]:
    """The output of `cortex runs --json`."""
    keys = ("run", "profile", "state", "stage", "step", "total", "spent", "budget", "seen", "silent_seconds", "reason")
    return [
        {key: full[key] for key in keys}
        if (full := run.to_json() if isinstance(run, RunStatus) else None)
        else {"run": run.run, "state": "unreadable", "reason": getattr(run, "reason", None)}
        for run in runs
    ]


def print_runs(runs: list[RunStatus | Unreadable], bucket: str, console: Console) -> None:
    """Print a table with one row a run."""
    if not runs:
        console.print(
            f"no runs in {bucket}: `make rehearse` begins one here, `make train` in the cloud", soft_wrap=True
        )
        return
    table = Table("run", "profile", "state", "stage", "spent", "heard of", box=None, pad_edge=False)
    for run in runs:
        if isinstance(run, Unreadable):
            table.add_row(run.run, "", "unreadable", harmless(run.reason, limit=300))
            continue
        stage = run.stage
        steps = f" {stage.step}/{stage.total}" if stage and stage.step is not None else ""
        of = f" of ${run.budget:.2f}" if run.budget else ""
        age = f"{duration(max(0.0, run.now - run.seen))} ago" if run.seen else "never"
        at = "launches failed" if run.given_up else f"{stage.name}{steps}" if stage else ""
        table.add_row(run.run, run.profile, run.state, at, f"${run.spent:.2f}{of}", age)
    console.print(table)


def cost_json(status: RunStatus) -> dict[str, Any]:
    """The output of `cortex cost RUN --json`."""
    return {
        "run": status.run,
        "budget": status.budget,
        "spent": round(status.spent, 6),
        "given_up": status.given_up,
        "machines": [charge.to_json() for charge in status.charges],
    }


def print_cost(status: RunStatus, console: Console) -> None:
    """Print a table with one row a machine, and the total."""
    table = Table("machine", "time", "dollars", "", box=None, pad_edge=False)
    for charge in status.charges:
        at_work = charge.open and status.state == "running" and charge is status.machine
        note = "at work" if at_work else "" if charge.reached else "`cortex run` never began on it"
        table.add_row(place(charge), duration(charge.seconds), f"{charge.dollars:.2f}", note)
    console.print(table)
    of = f" of ${status.budget:.2f}, {status.spent / status.budget:.0%}" if status.budget else "; no budget is set"
    console.print(f"{status.run}: ${status.spent:.2f}{of}", soft_wrap=True)
    if status.given_up:
        console.print(f"given up: {status.given_up}", soft_wrap=True)
