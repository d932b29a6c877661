"""Launching a run as one managed job, stopping it, and launching it again.

The order of writes makes a kill at any point safe: the run and its prices, then `launching` in the ledger, then the
job, then `launched`. A job that exists without a `launched` entry is found by its name, and the launch goes on with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger

from cortex.artifacts.artifact import find
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store, StoreError
from cortex.bases.base_pin import bind_pin
from cortex.errors import ConfigError, CortexError, DataError, RefusedError
from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.home.teardown import destroy_each
from cortex.fleet.launch.jobs import Jobs
from cortex.fleet.launch.run_role import RunRole
from cortex.profiles.profile import Profile
from cortex.runs.budget import cap, duration_cap, launched_at, over_budget, over_time, spent
from cortex.runs.context import artifact_prefix, create_run, load_run
from cortex.runs.deadline_standing import Deadline
from cortex.runs.events import CLOUDS_WORD, Event, order
from cortex.runs.ledger import Entry, Ledger, LedgerReader
from cortex.runs.price_list import Offer, PriceList
from cortex.runs.run_secret import SECRET_VARIABLE, RunSecret, bind_run
from cortex.text import harmless

SUBMISSION = 120.0
"""Seconds after `launching` in which the submission may still produce a job."""

SIGN_OF_LIFE = 180.0
"""Seconds after a machine's last ledger entry in which it counts as running: it writes an entry each minute."""

_LAUNCHES = ("launching", "launch_failed", "launched", "stopped")
_ENDS = (
    *("launch_failed", "stopped", "given_up", "budget_raised", "machine_ended", "budget_spent"),
    *("stage_failed", "destroyed"),
)
"""Entries after which no machine runs that SkyPilot's server here does not know."""


@dataclass(frozen=True)
class Order:
    """One launch of a run: its tasks, prices, secrets and limits."""

    run: str
    profile: Profile
    documents: list[dict[str, Any]]
    offers: tuple[Offer, ...]
    pipeline: str
    """The pipeline file's name, for the ledger."""
    owner: str
    secrets: Mapping[str, str]
    secret: RunSecret
    base: Manifest | None = None
    """The base model's files on the hub, to which the launch pins the run; None where the run is pinned already, or
    where its first task pins it."""
    role: RunRole | None = None
    """The role of the run's machines in AWS; None for the role that all runs share, or where there is none."""
    again: bool = False
    """True where the run was launched before."""
    budget: float | None = None
    """The new cap in dollars, where it is raised."""
    max_duration: float | None = None
    """The new limit of hours from the first launch, where it is raised."""
    deadline: Deadline | None = None
    """The time by which the run is to end, with its estimate; None for a run without a deadline."""


def require_bucket(bucket: str) -> None:
    """Check that machines in a cloud can reach the bucket.

    Raises:
        ConfigError: the bucket is a folder on this machine.
    """
    if "://" not in bucket:
        raise ConfigError(
            f"runs are kept in the folder {bucket}, which no machine in a cloud can reach: set CORTEX_BUCKET=s3://... "
            "(`make infra-up` makes a bucket and writes it to .env); without a cloud, `make rehearse` runs the same "
            "pipeline on this machine"
        )


def launch(order: Order, store: Store, jobs: Jobs) -> str:
    """Submit a run, and return its job as `job/<number>`.

    If an earlier launch submitted a job and was killed before it wrote `launched`, that job is returned.

    Raises:
        ConfigError: the run exists under another profile.
        DataError: the run is finished.
        RefusedError: the run is running, or being launched; or its profile or secret differs from its first launch's.
        BudgetError: the run has used up its budget or its time, and that limit is not raised.
        CortexError: SkyPilot does not accept the job, or (`ConfigError`) its server does not answer.
    """
    bind_run(store, order.secret, create_run(store, order.run, order.profile))
    if order.base:
        bind_pin(store, order.secret, order.base)
    require_unfinished(order.run, store)
    entries = LedgerReader(store, order.run, ticks=1).new_entries()
    events = [entry.event for entry in entries]
    begun, running = _require_idle(order.run, entries, jobs, store.now())
    if begun and running:
        # The job's machine may hold a later epoch by now; to take the next one would end its work.
        found = Ledger(store, order.run, begun["epoch"], name="found")
        if order.budget is not None and order.budget != cap(events, order.profile.budget.dollars):
            _require_budget(order, events, store.now())
            found.hold("budget_raised", dollars=order.budget)
        _hold_limits(order, found)
        _record_launch(order, found, running[0])
        return running[0]
    _require_budget(order, events, store.now())
    identity = order.role.make() if order.role else None
    PriceList(taken=store.now(), offers=order.offers).write(store, order.run)
    # Machines take later epochs, and writes of earlier epochs are refused.
    ledger = Ledger(store, order.run, Lease.take(store, order.run).epoch)
    if order.budget is not None:
        ledger.hold("budget_raised", dollars=order.budget)
    _hold_limits(order, ledger)
    name, secrets = job_name(order.run), {**order.secrets, SECRET_VARIABLE: order.secret.value}
    ledger.append("launching", name=name, owner=order.owner)
    try:
        job = f"job/{jobs.submit(order.documents, name, secrets, identity)}"
    except ConfigError:
        raise  # SkyPilot's server stopped answering during the submission: the job may still appear
    except CortexError as error:
        ledger.append("launch_failed", name=name, reason=str(error)[:500])
        raise
    _record_launch(order, ledger, job)
    return job


def stop(run: str, store: Store, jobs: Jobs) -> tuple[str, ...]:
    """Cancel a run's job, end its machines, and return the names of cancelled jobs; checkpoints stay.

    A second call finds nothing to do. The job of a run that was launched through another server is not known here;
    then only the lease is taken, so that the run's machines may write no more.

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
                _warn_of_other_machines(run, entries, store.now())
            job = _number(running[0]) if running else None
            Ledger(store, run, Lease.take(store, run).epoch).append("stopped", job=job)
    except StoreError as error:
        # The machines, which cost money, are ended: a bucket that does not answer must not make this a failure.
        logger.warning(f"stopping {run} without an entry in its ledger: {error}")
    return running


def _warn_of_other_machines(run: str, entries: list[Entry], now: float) -> None:
    """Warn where a machine seems to be at work that SkyPilot's server here did not rent."""
    alive = _newest_sign_of_life(entries, now)
    if alive and alive.event["event"] not in _LAUNCHES:
        logger.warning(
            f"run {run} wrote {harmless(alive.event['event'])!r} {_age(alive, now):.0f} s ago, and SkyPilot's server "
            f"knows no job of it: what works for it may write no more; see by `cortex stop {run}` where it was "
            "launched, or by `cortex sweep`, that its machine goes"
        )


def _record_launch(order: Order, ledger: Ledger, job: str) -> None:
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
    """Refuse where the run is running; else return its launch that was begun and not finished, if any, and the jobs."""
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
    newest = _newest_sign_of_life(entries, now)
    if newest and not running:
        raise RefusedError(
            f"run {run} is running elsewhere: it wrote {harmless(newest.event['event'])!r} {_age(newest, now):.0f} s "
            f"ago, and SkyPilot's server knows no job of it: see `cortex status {run}`, and `cortex stop {run}` where "
            f"it was launched; a machine that is gone counts as such after {SIGN_OF_LIFE:.0f} s"
        )
    return begun.event if begun else None, submitted


def _newest_sign_of_life(entries: list[Entry], now: float) -> Entry | None:
    """The newest entry of the newest epoch, while it says that the run may be running; else None."""
    own = [entry for entry in entries if entry.event["event"] not in CLOUDS_WORD]
    newest = max(own, key=lambda entry: (entry.event["epoch"], entry.written, order(entry.event)), default=None)
    if newest is None or newest.event["event"] in (*_ENDS, "launching") or _age(newest, now) >= SIGN_OF_LIFE:
        return None
    return newest


def _age(entry: Entry, now: float) -> float:
    """Seconds since an entry was written to the bucket; `now` is by the bucket's clock."""
    return max(0.0, now - entry.written)


def _require_budget(order: Order, events: list[Event], now: float) -> None:
    limit, cost = cap(events, order.profile.budget.dollars), spent(events)
    if order.budget is not None and order.budget <= max(limit, cost):
        raise ConfigError(
            f"run {order.run} may spend ${limit:,.2f} and has spent ${cost:,.2f}: --budget {order.budget:g} is no more"
        )
    if order.budget is None and 0 < limit <= cost:
        raise over_budget(order.run, cost, limit)

    hours, begun = duration_cap(events, order.profile.budget.max_duration), launched_at(events)
    taken = 0.0 if begun is None else (now - begun) / 3600
    if order.max_duration is not None and order.max_duration <= max(hours, taken):
        raise ConfigError(
            f"run {order.run} may take {hours:g} hours and was launched {taken:.1f} hours ago: --max-duration "
            f"{order.max_duration:g} is no more"
        )
    if order.max_duration is None and 0 < hours <= taken:
        raise over_time(order.run, hours)


def _hold_limits(order: Order, ledger: Ledger) -> None:
    """Add raised hours and the deadline to the ledger's next write."""
    if order.max_duration is not None:
        ledger.hold("max_duration_raised", hours=order.max_duration)
    if order.deadline:
        ledger.hold("deadline_set", **order.deadline.entry())


def _number(job: str) -> int:
    return int(job.partition("/")[2])


def _last_launch(entries: list[Entry]) -> Entry | None:
    """The last entry about launching; `entries` are in the order of their epochs."""
    return next((entry for entry in reversed(entries) if entry.event["event"] in _LAUNCHES), None)


def require_unfinished(run: str, store: Store) -> None:
    """Refuse to launch a run that is finished.

    Raises:
        DataError: the run has its release.
    """
    if find(store, artifact_prefix(run, "release")):
        raise DataError(f"run {run} is finished: `cortex show {run}`, and `cortex download {run}` brings it home")
