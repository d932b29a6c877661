"""Launching a run as one managed job, stopping it, and launching it again.

What is written when makes it safe to be killed anywhere: the run and its prices, then `launching` in the ledger, then
the job, then `launched`. A job that is there without the last is found by its name, and gone on with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger

from cortex.artifacts.artifact import find
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store, StoreError
from cortex.errors import ConfigError, CortexError, DataError, RefusedError
from cortex.fleet.jobs import Jobs
from cortex.fleet.names import job_name
from cortex.fleet.run_role import RunRole
from cortex.fleet.teardown import destroy_each
from cortex.runs.base_pin import bind_pin
from cortex.runs.budget import cap, launched_at, longest, over_budget, over_time, spent
from cortex.runs.context import artifact_prefix, create_run, load_run
from cortex.runs.deadline_standing import Deadline
from cortex.runs.events import CLOUDS_WORD, Event, order
from cortex.runs.ledger import Entry, Ledger, LedgerReader
from cortex.runs.prices import Offer, PriceList
from cortex.runs.profile import Profile
from cortex.runs.run_secret import SECRET_VARIABLE, RunSecret, bind
from cortex.text import harmless

SUBMISSION = 120.0
"""Seconds in which a submission that was begun may still bring a job about."""

SIGN_OF_LIFE = 180.0
"""Seconds after a machine's last entry in the ledger in which it counts as running: it makes one a minute."""

_LAUNCHES = ("launching", "launch_failed", "launched", "stopped")
_ENDS = (
    *("launch_failed", "stopped", "given_up", "budget_raised", "machine_ended", "budget_spent"),
    *("stage_failed", "destroyed"),
)
"""Entries after which nothing runs that SkyPilot does not know of."""


@dataclass(frozen=True)
class Order:
    """What is to be launched."""

    run: str
    profile: Profile
    documents: list[dict[str, Any]]
    offers: tuple[Offer, ...]
    pipeline: str
    """The file's name, for the ledger."""
    owner: str
    secrets: Mapping[str, str]
    secret: RunSecret
    base: Manifest | None = None
    """What the hub has of the run's base, to which it is pinned; None where it is pinned already, or by its first task.
    """
    role: RunRole | None = None
    """What the run's machines in AWS act as; None for the role that all share, or where there is none."""
    again: bool = False
    """Whether the run was launched before."""
    budget: float | None = None
    """The cap in dollars from now on, where it is raised."""
    max_duration: float | None = None
    """The hours that the run may take from its first launch, where they are raised."""
    deadline: Deadline | None = None
    """By when it is to end, and what was estimated of it; None for a run without a deadline."""


def require_bucket(bucket: str) -> None:
    """Check that machines in a cloud could reach the bucket.

    Raises:
        ConfigError: it is a folder here.
    """
    if "://" not in bucket:
        raise ConfigError(
            f"runs are kept in the folder {bucket}, which no machine in a cloud can reach: set CORTEX_BUCKET=s3://... "
            "(`make infra-up` makes a bucket and writes it to .env); without a cloud, `make rehearse` runs the same "
            "pipeline on this machine"
        )


def launch(order: Order, store: Store, jobs: Jobs) -> str:
    """Submit a run, and return its job as `job/<number>`; one that was submitted before, by a program that was killed
    before it could say so, is the job.

    Raises:
        ConfigError: the run exists under another profile.
        DataError: it is finished.
        RefusedError: it is running, or being launched; or its profile or its secret is not what it was begun with.
        BudgetError: it has spent its budget, or taken as long as it may, and that is not raised.
        CortexError: SkyPilot does not take it, or (`ConfigError`) its server does not answer.
    """
    bind(store, order.secret, create_run(store, order.run, order.profile))
    if order.base:
        bind_pin(store, order.secret, order.base)
    finished(order.run, store)
    entries = LedgerReader(store, order.run, ticks=1).new_entries()
    events = [entry.event for entry in entries]
    begun, running = _require_idle(order.run, entries, jobs, store.now())
    if begun and running:
        # The job's machine may hold a later epoch by now: taking the next would end its work.
        found = Ledger(store, order.run, begun["epoch"], name="found")
        if order.budget is not None and order.budget != cap(events, order.profile.budget.dollars):
            _require_budget(order, events, store.now())
            found.hold("budget_raised", dollars=order.budget)
        _hold_times(order, found)
        _tell_launched(order, found, running[0])
        return running[0]
    _require_budget(order, events, store.now())
    identity = order.role.make() if order.role else None
    PriceList(taken=store.now(), offers=order.offers).write(store, order.run)
    # Machines take later epochs, and what an earlier one may still write is refused.
    ledger = Ledger(store, order.run, Lease.take(store, order.run).epoch)
    if order.budget is not None:
        ledger.hold("budget_raised", dollars=order.budget)
    _hold_times(order, ledger)
    name, secrets = job_name(order.run), {**order.secrets, SECRET_VARIABLE: order.secret.value}
    ledger.append("launching", name=name, owner=order.owner)
    try:
        job = f"job/{jobs.submit(order.documents, name, secrets, identity)}"
    except ConfigError:
        raise  # SkyPilot's server was lost on the way: the job may still come about
    except CortexError as error:
        ledger.append("launch_failed", name=name, reason=str(error)[:500])
        raise
    _tell_launched(order, ledger, job)
    return job


def stop(run: str, store: Store, jobs: Jobs) -> tuple[str, ...]:
    """Cancel a run's job and give its machines back; return what was cancelled. Checkpoints stay. Doing it again finds
    nothing to do. Of a run that was launched elsewhere no job is known here: what works for it may write no more.

    Raises:
        UsageError: there is neither such a job nor such a run.
        CortexError: SkyPilot cannot cancel it.
    """
    running = tuple(name for name in jobs.of_run(run) if name.startswith("job/"))
    if not running:
        load_run(store, run)
    destroy_each(running, jobs)
    try:
        entries = LedgerReader(store, run, ticks=1).new_entries()
        last = _last_launch(entries)
        unsaid = last is not None and last.event["event"] in ("launching", "launched")
        if running or (unsaid and not find(store, artifact_prefix(run, "release"))):
            if not running:
                _tell_elsewhere(run, entries, store.now())
            job = _number(running[0]) if running else None
            Ledger(store, run, Lease.take(store, run).epoch).append("stopped", job=job)
    except StoreError as error:
        # What costs money has been ended; a bucket that does not answer must not say otherwise.
        logger.warning(f"stopping {run} without an entry in its ledger: {error}")
    return running


def _tell_elsewhere(run: str, entries: list[Entry], now: float) -> None:
    """Say it where a machine is at work that SkyPilot's server here did not rent."""
    alive = _last_word(entries, now)
    if alive and alive.event["event"] not in _LAUNCHES:
        logger.warning(
            f"run {run} wrote {harmless(alive.event['event'])!r} {_age(alive, now):.0f} s ago, and SkyPilot's server "
            f"knows no job of it: what works for it may write no more; see by `cortex stop {run}` where it was "
            "launched, or by `cortex sweep`, that its machine goes"
        )


def _tell_launched(order: Order, ledger: Ledger, job: str) -> None:
    tasks = [str(document.get("name")) for document in order.documents]
    ledger.append(
        "launched",
        job=_number(job),
        name=job_name(order.run),
        tasks=tasks,
        pipeline=order.pipeline,
        owner=order.owner,
        again=order.again,
    )


def _require_idle(run: str, entries: list[Entry], jobs: Jobs, now: float) -> tuple[Event | None, list[str]]:
    """Refuse where the run is running. Otherwise the launch that was begun and not finished, and the jobs of it."""
    running = list(jobs.of_run(run))
    last = _last_launch(entries)
    begun = last if last and last.event["event"] == "launching" else None
    submitted = [name for name in running if name.startswith("job/")]
    if running and not (begun and submitted):
        raise RefusedError(
            f"run {run} is running ({', '.join(running)}): `cortex status {run}` shows it, `cortex stop {run}` ends it"
        )
    if begun and not running and _age(begun, now) < SUBMISSION:
        raise RefusedError(
            f"run {run} is being launched by {harmless(begun.event.get('owner'))} since {_age(begun, now):.0f} s: see "
            f"with `cortex status {run}` what becomes of it; if nothing, launch it again in {SUBMISSION:.0f} s"
        )
    newest = _last_word(entries, now)
    if newest and not running:
        raise RefusedError(
            f"run {run} is running elsewhere: it wrote {harmless(newest.event['event'])!r} {_age(newest, now):.0f} s "
            f"ago, and SkyPilot's server knows no job of it: see `cortex status {run}`, and `cortex stop {run}` where "
            f"it was launched; a machine that is gone counts as such after {SIGN_OF_LIFE:.0f} s"
        )
    return begun.event if begun else None, submitted


def _last_word(entries: list[Entry], now: float) -> Entry | None:
    """The newest entry of the newest epoch, while it says that the run may be running; else None."""
    own = [entry for entry in entries if entry.event["event"] not in CLOUDS_WORD]
    newest = max(own, key=lambda entry: (entry.event["epoch"], entry.written, order(entry.event)), default=None)
    if newest is None or newest.event["event"] in (*_ENDS, "launching") or _age(newest, now) >= SIGN_OF_LIFE:
        return None
    return newest


def _age(entry: Entry, now: float) -> float:
    """Seconds since the bucket took an entry; `now` is by the bucket's clock."""
    return max(0.0, now - entry.written)


def _require_budget(order: Order, events: list[Event], now: float) -> None:
    limit, cost = cap(events, order.profile.budget.dollars), spent(events)
    if order.budget is not None and order.budget <= max(limit, cost):
        raise ConfigError(
            f"run {order.run} may spend ${limit:,.2f} and has spent ${cost:,.2f}: --budget {order.budget:g} is no more"
        )
    if order.budget is None and 0 < limit <= cost:
        raise over_budget(order.run, cost, limit)

    hours, begun = longest(events, order.profile.budget.max_duration), launched_at(events)
    taken = 0.0 if begun is None else (now - begun) / 3600
    if order.max_duration is not None and order.max_duration <= max(hours, taken):
        raise ConfigError(
            f"run {order.run} may take {hours:g} hours and was launched {taken:.1f} hours ago: --max-duration "
            f"{order.max_duration:g} is no more"
        )
    if order.max_duration is None and 0 < hours <= taken:
        raise over_time(order.run, hours)


def _hold_times(order: Order, ledger: Ledger) -> None:
    """Enter, with what is written next, until when the run may and is to take."""
    if order.max_duration is not None:
        ledger.hold("max_duration_raised", hours=order.max_duration)
    if order.deadline:
        ledger.hold("deadline_set", **order.deadline.entry())


def _number(job: str) -> int:
    return int(job.partition("/")[2])


def _last_launch(entries: list[Entry]) -> Entry | None:
    """The last entry about launching: entries come in the order of their epochs."""
    return next((entry for entry in reversed(entries) if entry.event["event"] in _LAUNCHES), None)


def finished(run: str, store: Store) -> None:
    """Refuse to launch what is done.

    Raises:
        DataError: the run has its release.
    """
    if find(store, artifact_prefix(run, "release")):
        raise DataError(f"run {run} is finished: `cortex show {run}`, and `cortex download {run}` brings it home")
