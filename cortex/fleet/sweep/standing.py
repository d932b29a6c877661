"""Whether anything of a run may still be running, as the run's own ledger tells it."""

from dataclasses import dataclass

from cortex.artifacts.artifact import find
from cortex.artifacts.store import Store
from cortex.fleet.names import run_label
from cortex.runs.context import artifact_prefix, list_runs
from cortex.runs.ledger import Event, LedgerReader

GRACE = 15 * 60.0
"""Seconds that a run which is over, or a machine that said goodbye, may take to give its machines back."""

QUIET = 60 * 60.0
"""Seconds without a word after which a machine that should write every minute is not the run's any more, and that a
new one may take until its first: booting, pulling an image, finding the bucket."""

_ENDS = {"stopped": "was stopped", "teardown": "was torn down", "budget_spent": "has spent its budget"}
_BEGINS = ("launching", "launched", "machine_started")


@dataclass(frozen=True)
class Standing:
    """What a run's bucket says of it."""

    run: str
    ended: float | None
    """When it was over, in seconds since 1970; None while it is not."""
    how: str
    """How it ended."""
    newest: float
    """When anything was last written of it; 0 for a run of which nothing was."""
    heard: dict[str, float]
    """When each machine last wrote, by its id; of machines that wrote at all."""
    parted: dict[str, float]
    """When each machine said that it ends."""

    def leftover(self, machine: str, since: float, now: float) -> str | None:
        """Why a machine is none of a live run; None while it may be one. Times are seconds since 1970.

        It is left over when it stands although

        - its run is over (released, stopped, torn down, or at its budget) for `GRACE`, and it was not started since;
        - it said itself that it ends, `GRACE` ago;
        - it was started `QUIET` ago or longer, and for `QUIET` neither it nor, if it never wrote, its run wrote a word.

        In every other case it counts as live: what boots, what waits for a bucket that does not answer, and what runs
        beside a run that is alive without writing into its ledger, such as a workbench.
        """
        if self.ended is not None and since <= self.ended and now - self.ended > GRACE:
            return f"its run {self.how} {_ago(now - self.ended)}"
        parted = self.parted.get(machine)
        if parted is not None and now - parted > GRACE:
            return f"it said that it ends {_ago(now - parted)}"
        last = self.heard.get(machine, self.newest)
        if now - since > QUIET and now - last > QUIET:
            return f"not heard of {f'since {_ago(now - last)}' if last else 'at all'}"
        return None


def standings(store: Store, labels: set[str]) -> dict[str, Standing]:
    """By the label that their machines bear, the runs of this bucket; other labels are left out."""
    runs = {run_label(run): run for run in list_runs(store)}
    return {label: standing(store, runs[label]) for label in labels if label in runs}


def standing(store: Store, run: str) -> Standing:
    """Read one run's."""
    ended, how = None, ""
    heard, parted = dict[str, float](), dict[str, float]()
    events = LedgerReader(store, run).new_events()
    for event in events:
        kind, when = event["event"], float(event["time"])
        if kind in _ENDS:
            ended, how = when, _ENDS[kind]
        elif kind in _BEGINS:
            ended = None
        if kind in ("machine_started", "machine_alive"):
            heard[event["machine"]] = max(when, float(event.get("until", 0)))
        elif kind == "machine_ended":
            parted[event["machine"]] = when
    if find(store, artifact_prefix(run, "release")) is not None:
        finished = _released(events)
        ended, how = max(ended or 0.0, finished), "is released since"
    return Standing(run, ended, how, float(events[-1]["time"]) if events else 0.0, heard, parted)


def _released(events: list[Event]) -> float:
    """When the release was done; the ledger's last word where it does not say."""
    said = [event["time"] for event in events if event["event"] == "stage_finished" and event.get("stage") == "release"]
    return float(said[-1] if said else events[-1]["time"] if events else 0.0)


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h ago" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} min ago"
