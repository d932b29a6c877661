"""State of a run by its ledger: the machines that nobody needs any more, and those that may hold the only copy.

The clocks of the ledger's writers do not matter. The age of an event is the cloud's time minus the time at which the
bucket stored it. Events are ordered by their epochs, and within an epoch by that time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.describe import RELEASE
from cortex.artifacts.outage import HOLD_OUT
from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.clouds.job_names import run_label
from cortex.runs.context import artifact_prefix, list_runs
from cortex.runs.events import CLOUDS_WORD
from cortex.runs.ledger import Entry, LedgerReader

GRACE = 15 * 60.0
"""Seconds until machines of a run that is over, or a machine that has announced its end, should be gone."""

QUIET = 60 * 60.0
"""Seconds without an entry after which a machine, which should write each minute, no longer counts as the run's. A new
machine may take as long until its first entry: to boot, pull an image and find the bucket."""

SERVED_GRACE = 2 * 60 * 60.0
"""Seconds until the replicas of a service that no longer serves a run should be gone: when another run's release is
rolled onto it, each of them stays until a new one has downloaded and loaded that."""

CUT_OFF = HOLD_OUT + GRACE
"""Seconds for which a machine that went silent within a stage may still hold and deliver that stage's work: while it
cannot reach its bucket, it tries for `HOLD_OUT`."""

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
    """The reason why a thing does not belong to a live run."""

    why: str
    over: bool
    """True where its run is over. Otherwise it was only silent, and might write again once it reaches its bucket."""
    keeps: str | None
    """Reason why ending it might lose something, or why that cannot be judged; None where nothing is lost."""


@dataclass
class Attempt:
    """One attempt at a stage, under one epoch."""

    epoch: int
    stage: str
    open: bool = True
    """True while no entry says that it ended."""
    outage: bool = False
    """True while its last entry on the bucket says that the bucket cannot be reached."""
    machines: set[str] = field(default_factory=set[str])
    """Machines that wrote under its epoch."""

    def may_run_on(self, machine: str) -> bool:
        """True where the attempt may run on the machine. A name that is only a host's may be any machine's."""
        named = {name for name in self.machines if name.startswith("i-")}
        return machine in self.machines or not named or named != self.machines


@dataclass(frozen=True)
class Standing:
    """State of a run by its bucket. Times are in seconds since 1970, by the bucket's clock."""

    run: str
    ended: float | None = None
    """Time at which the run was over; None while it is not."""
    how: str = ""
    """The way it ended, in words."""
    newest: float = 0.0
    """Time of the run's last entry; 0 without any entry."""
    heard: dict[str, float] = field(default_factory=dict[str, float])
    """Time of each machine's last entry, by the machine's id."""
    parted: dict[str, float] = field(default_factory=dict[str, float])
    """Time at which a machine announced its end, for machines on which nothing was started since."""
    attempts: tuple[Attempt, ...] = ()
    """Attempts in the order of their epochs. Empty where no work can be lost: the release is in the bucket, or the run
    was torn down."""
    services: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Services of the run's release by name: the time of their end; None while they serve it."""
    unreadable: str | None = None
    """Reason why the state could not be read in full."""

    def judge(self, kind: Kind, name: str, since: float, now: float, service: str | None = None) -> Verdict | None:
        """The verdict on a thing that does not belong to a live run; None for one that may. `since` and `now` are the
        cloud's time, `service` is the service that the thing is a replica of.

        A replica, which writes nothing, is left over once its service has ended `SERVED_GRACE` ago. Of all others,

        A machine that exists is left over when one of these holds:

        - its run was over (released, stopped, torn down, or at its budget and no longer publishing) `GRACE` ago, and
          the machine was not started since;
        - the machine announced its own end `GRACE` ago;
        - the machine was started `QUIET` ago, and has written nothing for `QUIET`, or, if it never wrote, its run has
          written nothing for `QUIET`.

        In every other case it counts as live: it may be booting, wait for a bucket that does not answer, or work for a
        live run without writing to its ledger.
        """
        why, over = self._why_served(service, now) if service in self.services else self._why(name, since, now)
        return Verdict(why, over, self.unreadable or self._keeps(kind, name, now)) if why else None

    def _why_served(self, service: str | None, now: float) -> tuple[str, bool]:
        ended = self.services[service or ""]
        if ended is not None and now - ended > SERVED_GRACE:
            return f"its service {service} ended {_ago(now - ended)}", True
        return "", False

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
        """The reason to keep a thing; None where nothing is lost. A sealed release stays on the machine that made it
        until the bucket has it, and exists nowhere else until then."""
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
        # Only the newest attempt counts: the work of earlier ones can no longer be published.
        newest = self.attempts[-1]
        if (newest.open or newest.outage) and newest.may_run_on(name):
            hours = HOLD_OUT / 3600
            return f"it may be cut off from the bucket, with what its {newest.stage} made: it tries for {hours:.0f} h"
        return None


def standings(store: Store, labels: set[str]) -> dict[str, Standing]:
    """The state of this bucket's runs by the label of their machines; only runs with one of `labels` are read.

    Raises:
        StoreError: the bucket cannot list its runs.
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
    except DataError as error:  # a run that cannot be read must not hide leftovers of others
        return Standing(run, unreadable=f"nobody can tell whether its run is alive: {error}")


def standing(store: Store, run: str) -> Standing:
    """Read the state of one run.

    Raises:
        DataError: the bucket does not answer (`StoreError`), or the release's manifest is not valid.
    """
    reader = LedgerReader(store, run, ticks=1)
    # Entries come in the order in which each writer wrote them. The stable sort keeps it where the bucket's times, in
    # whole seconds, are equal.
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
        services=_services(entries),
        unreadable=f"its ledger is damaged: {store.url}/{reader.damaged[0]}" if reader.damaged else None,
    )


def _end(entries: Iterable[Entry]) -> tuple[float | None, str]:
    """Time at which the run was over, and how it ended; None and empty if it was started again."""
    ended, how = None, ""
    for entry in entries:
        kind = entry.event["event"]
        if kind in _ENDS:
            ended, how = entry.written, _ENDS[kind]
        elif kind in _BEGINS:
            ended, how = None, ""
        elif kind == "machine_alive" and ended is not None and how == _ENDS["budget_spent"]:
            # At the cap a machine ends by itself, but first publishes what it has made, which may take longer.
            ended = max(ended, entry.written)
    return ended, how


def _signs(entries: Iterable[Entry]) -> tuple[dict[str, float], dict[str, float]]:
    """Times of each machine's last entry, and of the announcement of its end."""
    heard, parted = dict[str, float](), dict[str, float]()
    for entry in entries:
        machine = entry.event.get("machine")
        if not isinstance(machine, str):
            continue
        if entry.event["event"] in ("machine_started", "machine_alive"):
            heard[machine] = max(entry.written, heard.get(machine, 0.0))
            # After one program of a task has ended, another may start on the same machine.
            parted.pop(machine, None)
        elif entry.event["event"] == "machine_ended":
            parted[machine] = entry.written
    return heard, parted


def _services(entries: Iterable[Entry]) -> dict[str, float | None]:
    """Each service of the run, with the time of its end; None while it is up."""
    found = dict[str, float | None]()
    for entry in entries:
        kind, service = entry.event["event"], entry.event.get("service")
        if kind == "serving":
            found[str(service)] = None
        elif kind == "unserved":
            found[str(service)] = entry.written
        elif kind == "teardown":
            found |= {name: entry.written for name, ended in found.items() if ended is None}
    return found


def _attempts(entries: Sequence[Entry]) -> tuple[Attempt, ...]:
    """All attempts at stages since the run's last teardown, in the order of their epochs."""
    found = dict[int, Attempt]()
    for entry in entries:
        event, epoch = entry.event, entry.event["epoch"]
        kind = event["event"]
        if kind == "teardown":
            found.clear()  # the release was downloaded and verified, or a user abandoned the run
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
    """Time at which the release stage finished; the time of the ledger's last entry where none says so."""
    said = [
        entry.written
        for entry in entries
        if entry.event["event"] == "stage_finished" and entry.event.get("stage") == RELEASE
    ]
    return said[-1] if said else max((entry.written for entry in entries), default=0.0)


def _ago(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h ago" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} min ago"
