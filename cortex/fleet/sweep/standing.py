"""How a run stands, as its ledger tells it: which of its machines nobody needs, and which may hold the only copy.

No writer's own clock decides. Ages are by the moments at which the bucket took each event, compared with the cloud's
time; what came after what is told by epochs, and within one by those moments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.describe import RELEASE
from cortex.artifacts.outage import HOLD_OUT
from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.names import run_label
from cortex.runs.context import artifact_prefix, list_runs
from cortex.runs.events import CLOUDS_WORD
from cortex.runs.ledger import Entry, LedgerReader

GRACE = 15 * 60.0
"""Seconds that a run which is over, or a machine that said goodbye, may take to give its machines back."""

QUIET = 60 * 60.0
"""Seconds without a word after which a machine that should write every minute is not the run's any more, and that a
new one may take until its first: booting, pulling an image, finding the bucket."""

CUT_OFF = HOLD_OUT + GRACE
"""Seconds for which a machine that went silent within a stage may still hold that stage's work, and bring it: when the
bucket cannot be reached from where it stands, it tries for `HOLD_OUT`."""

Kind = Literal["machine", "disk", "address"]

_ENDS = {
    "stopped": "was stopped",
    "teardown": "was torn down",
    "budget_spent": "has spent its budget",
    "given_up": "was given up, whose launches failed",
}
_BEGINS = ("launching", "launched", "machine_started")
_GIVEN_UP = (_ENDS["stopped"], _ENDS["teardown"])


@dataclass(frozen=True)
class Verdict:
    """Why something that stands is none of a live run."""

    why: str
    over: bool
    """Its run is over. Otherwise it was merely not heard of: it might write again once it reaches its bucket."""
    keeps: str | None
    """Why ending it might lose something, or cannot be judged; None where nothing is lost."""


@dataclass
class Attempt:
    """A stage that was begun, under one epoch."""

    epoch: int
    stage: str
    open: bool = True
    """Nothing has said that it ended."""
    outage: bool = False
    """It said that the bucket does not take what it made, and not yet that it does again."""
    machines: set[str] = field(default_factory=set[str])
    """What wrote under its epoch."""

    def may_run_on(self, machine: str) -> bool:
        """Whether it may be at work there. A machine that went by its host's name can be any."""
        named = {name for name in self.machines if name.startswith("i-")}
        return machine in self.machines or not named or named != self.machines


@dataclass(frozen=True)
class Standing:
    """What a run's bucket says of it. Times are in seconds since 1970, by the bucket's clock."""

    run: str
    ended: float | None = None
    """When it was over; None while it is not."""
    how: str = ""
    """How it ended."""
    newest: float = 0.0
    """When anything was last written of it; 0 for a run of which nothing was."""
    heard: dict[str, float] = field(default_factory=dict[str, float])
    """When each machine last wrote, by its id; of machines that wrote at all."""
    parted: dict[str, float] = field(default_factory=dict[str, float])
    """When each machine said that it ends; of machines where nothing was begun after."""
    attempts: tuple[Attempt, ...] = ()
    """By their epochs. Empty where nothing of them is left to lose: the release is in the bucket, or was let go."""
    unreadable: str | None = None
    """Why not all of it could be read."""

    def judge(self, kind: Kind, name: str, since: float, now: float) -> Verdict | None:
        """Why a thing is none of a live run; None while it may be one. `since` and `now` are the cloud's time.

        A machine is left over when it stands although

        - its run is over (released, stopped, torn down, or at its budget and not publishing any more) for `GRACE`, and
          it was not started since;
        - it said itself that it ends, `GRACE` ago;
        - it was started `QUIET` ago or longer, and for `QUIET` neither it nor, if it never wrote, its run wrote a word.

        In every other case it counts as live: what boots, what waits for a bucket that does not answer, and what runs
        beside a run that is alive without writing into its ledger.
        """
        why, over = self._why(name, since, now)
        return Verdict(why, over, self.unreadable or self._keeps(kind, name, now)) if why else None

    def _why(self, name: str, since: float, now: float) -> tuple[str, bool]:
        if self.ended is not None and since <= self.ended and now - self.ended > GRACE:
            return f"its run {self.how} {_ago(now - self.ended)}", True
        parted = self.parted.get(name)
        if parted is not None and now - parted > GRACE:
            return f"it said that it ends {_ago(now - parted)}", False
        last = self.heard.get(name, self.newest)
        if now - since > QUIET and now - last > QUIET:
            return f"not heard of {f'since {_ago(now - last)}' if last else 'at all'}", False
        return "", False

    def _keeps(self, kind: Kind, name: str, now: float) -> str | None:
        """A release is kept, sealed, where it was made until the bucket has it: nobody else has it so long."""
        if kind == "address":
            return None
        if not self.newest:
            return "its ledger is empty, so that nobody can tell what it holds"
        for attempt in self.attempts:
            if attempt.stage == RELEASE and (kind == "disk" or attempt.may_run_on(name)):
                return "it may hold the only copy of its run's release"
        last = self.heard.get(name, self.newest)
        if kind == "disk" or not self.attempts or self.how in _GIVEN_UP or name in self.parted or now - last > CUT_OFF:
            return None
        # Only the newest: what a later attempt has overtaken cannot be published any more.
        newest = self.attempts[-1]
        if (newest.open or newest.outage) and newest.may_run_on(name):
            hours = HOLD_OUT / 3600
            return f"it may be cut off from the bucket, with what its {newest.stage} made: it tries for {hours:.0f} h"
        return None


def standings(store: Store, labels: set[str]) -> dict[str, Standing]:
    """By the label that their machines bear, the runs of this bucket; other labels are left out.

    Raises:
        StoreError: the bucket does not tell its runs.
    """
    found = dict[str, Standing]()
    for run in list_runs(store):
        label = run_label(run)
        if label in found:
            both = f"runs {found[label].run} and {run} bear the same tag"
            found[label] = Standing(found[label].run, unreadable=f"{both}, so that nobody can tell which it is of")
        elif label in labels:
            found[label] = _standing(store, run)
    return found


def _standing(store: Store, run: str) -> Standing:
    try:
        return standing(store, run)
    except DataError as error:  # one run that cannot be read must not hide what others left
        return Standing(run, unreadable=f"nobody can tell whether its run is alive: {error}")


def standing(store: Store, run: str) -> Standing:
    """Read one run's.

    Raises:
        DataError: the bucket does not answer (`StoreError`), or the release's manifest is none.
    """
    reader = LedgerReader(store, run, ticks=1)
    # Listed in the order in which each writer wrote, which the sort keeps where the bucket counts whole seconds.
    own = [entry for entry in reader.new_entries() if entry.event["event"] not in CLOUDS_WORD]
    entries = sorted(own, key=lambda entry: (entry.event["epoch"], entry.written))
    released = find(store, artifact_prefix(run, RELEASE)) is not None
    ended, how = _end(entries)
    if released:
        ended, how = max(ended or 0.0, _released(entries)), "is released since"
    heard, parted = _signs(entries)
    return Standing(
        run=run,
        ended=ended,
        how=how,
        newest=max((entry.written for entry in entries), default=0.0),
        heard=heard,
        parted=parted,
        attempts=() if released else _attempts(entries),
        unreadable=f"its ledger is damaged: {store.url}/{reader.damaged[0]}" if reader.damaged else None,
    )


def _end(entries: Iterable[Entry]) -> tuple[float | None, str]:
    """When the run was over, unless it was begun again, and how."""
    ended, how = None, ""
    for entry in entries:
        kind = entry.event["event"]
        if kind in _ENDS:
            ended, how = entry.written, _ENDS[kind]
        elif kind in _BEGINS:
            ended, how = None, ""
        elif kind == "machine_alive" and ended is not None and how == _ENDS["budget_spent"]:
            # It leaves by itself at the cap, but for what it has made: to publish that may take longer.
            ended = max(ended, entry.written)
    return ended, how


def _signs(entries: Iterable[Entry]) -> tuple[dict[str, float], dict[str, float]]:
    """When each machine was last heard of, and when it said goodbye."""
    heard, parted = dict[str, float](), dict[str, float]()
    for entry in entries:
        machine = entry.event.get("machine")
        if not isinstance(machine, str):
            continue
        if entry.event["event"] in ("machine_started", "machine_alive"):
            heard[machine] = max(entry.written, heard.get(machine, 0.0))
            # One program of a task may be followed by another on the same machine.
            parted.pop(machine, None)
        elif entry.event["event"] == "machine_ended":
            parted[machine] = entry.written
    return heard, parted


def _attempts(entries: Sequence[Entry]) -> tuple[Attempt, ...]:
    """Every stage that was begun since the run was last let go, by epoch."""
    found = dict[int, Attempt]()
    for entry in entries:
        event, epoch = entry.event, entry.event["epoch"]
        kind = event["event"]
        if kind == "teardown":
            found.clear()  # a copy was proven to be at home, or somebody abandoned it by name
        elif kind == "stage_started":
            found[epoch] = Attempt(epoch, str(event.get("stage")))
        elif attempt := found.get(epoch):
            attempt.open = attempt.open and kind not in ("stage_finished", "stage_failed")
            attempt.outage = kind == "bucket_unreachable" or (attempt.outage and kind != "bucket_answers")
    for entry in entries:
        attempt, machine = found.get(entry.event["epoch"]), entry.event.get("machine")
        if attempt and isinstance(machine, str):
            attempt.machines.add(machine)
    return tuple(found[epoch] for epoch in sorted(found))


def _released(entries: Sequence[Entry]) -> float:
    """When the release was done; the ledger's last word where it does not say."""
    said = [
        entry.written
        for entry in entries
        if entry.event["event"] == "stage_finished" and entry.event.get("stage") == RELEASE
    ]
    return said[-1] if said else max((entry.written for entry in entries), default=0.0)


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h ago" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} min ago"
