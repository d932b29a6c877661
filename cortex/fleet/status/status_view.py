"""A run's status on the terminal: once, or live until the run has ended."""

import time

from rich.text import Text

from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.fleet.status.run_status import RunStatus, RunWatcher
from cortex.fleet.watch.job_state import JobWatcher
from cortex.runs.budget import Charge
from cortex.runs.deadline_standing import Deadline
from cortex.runs.live import LiveStages, duration, stage_table
from cortex.text import harmless

FOLLOW_SECONDS = 3.0
"""Seconds between two reads of the status while a run is followed."""


def follow(store: Store, run: str, console: Console, *, every: float = FOLLOW_SECONDS) -> None:
    """Show a run until it has ended, or Ctrl-C: a live table on a terminal, a line for each change elsewhere."""
    watcher = RunWatcher(store, run, jobs=JobWatcher(run))
    latest, told = watcher.look(), ""
    try:
        with LiveStages(watcher.follower, console, lambda: summary(latest)) as live:
            while not latest.over:
                live.refresh()
                if (line := skypilot_line(latest)) != told and not console.is_terminal:
                    console.print(line, soft_wrap=True)
                    told = line
                time.sleep(every)
                latest = watcher.look()
    except KeyboardInterrupt:
        console.print(f"no longer following; {run} goes on: `cortex status {run} --follow` comes back", soft_wrap=True)
        return
    console.print(summary(latest), soft_wrap=True)


def print_status(status: RunStatus, console: Console) -> None:
    """Print the status for the terminal."""
    console.print(
        Text.assemble((status.run, "bold"), f"  profile {status.profile}  in {status.bucket}"), soft_wrap=True
    )
    console.print(stage_table(status.stages))
    console.print(summary(status), soft_wrap=True)


def summary(status: RunStatus) -> str:
    """State, money, machine and last sign of life in one line, and further lines where there is more to say."""
    of = f" of ${status.budget:.2f}" if status.budget else ""
    words = [status.state, f"spent ${status.spent:.2f}{of}"]
    if machine := status.machine:
        words.append(place(machine))
    if status.seen:
        words.append(f"last sign of life {duration(max(0.0, status.now - status.seen))} ago")
    lines = ["  ·  ".join(words)]
    if status.given_up:
        lines.append(f"given up: {status.given_up}")
    elif status.stage and status.stage.reason and status.state in ("failed", "over budget", "recovering"):
        lines.append(f"{status.stage.name}: {status.stage.reason}")
    lines += [f"{report.name}: {report.misled}" for report in status.stages if report.misled]
    if status.deadline and status.state != "done":
        lines.append(deadline_line(status.deadline, status))
    if line := skypilot_line(status):
        lines.append(line)
    if status.unwatched and not status.over:
        lines.append("no watcher is at work here, so that launches that fail are tried without end: `cortex watch`")
    if status.damaged:
        count, first = len(status.damaged), f"{status.bucket}/{status.damaged[0]}"
        lines.append(
            f"{count} damaged object{'s' if count > 1 else ''} of the ledger, from {first}: what could not be read of "
            "it is missing here"
        )
    return "\n".join(lines)


def deadline_line(deadline: Deadline, status: RunStatus) -> str:
    """The time left to the deadline, and the newest machine's decision with its reason."""
    left = deadline.at - status.now
    when = f"deadline in {duration(left)}" if left >= 0 else f"deadline missed by {duration(-left)}"
    decision = status.decision
    if decision is None:
        return when
    slack = decision["slack"]
    ahead = f"{duration(slack)} of slack" if slack >= 0 else f"{duration(-slack)} late, at this pace"
    return f"{when}: {harmless(decision['reason'], limit=300)}; {ahead}"


def skypilot_line(status: RunStatus) -> str:
    """SkyPilot's state of the run's job, or why SkyPilot could not be asked; empty where it knows no job."""
    if status.unasked:
        return f"SkyPilot could not be asked: {status.unasked}"
    return str(status.job) if status.job else ""


def place(machine: Charge) -> str:
    """A machine with its place, type and price: `i-0123 (aws us-east-1b p5.48xlarge spot, $31.50/h)`."""
    where = [machine.cloud, machine.zone or machine.region, machine.instance_type, "spot" if machine.spot else None]
    words = " ".join(word for word in where if word)
    return f"{machine.machine} ({words + ', ' if words else ''}${machine.dollars_per_hour:.2f}/h)"
