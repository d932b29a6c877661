"""Launching a run as one managed job, stopping it, and launching it again.

What is written when makes it safe to be killed anywhere: the run and its prices, then `launching` in the ledger, then
the job, then `launched`. A job that is there without the last is found by its name, and gone on with.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loguru import logger

from cortex.artifacts.artifact import find
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import Store, StoreError
from cortex.errors import BudgetError, ConfigError, CortexError, DataError, RefusedError
from cortex.fleet.alternatives import HOMES
from cortex.fleet.jobs import Jobs
from cortex.fleet.names import job_name
from cortex.runs.context import artifact_prefix, create_run, load_run
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.prices import Offer, PriceList
from cortex.runs.profile import Profile

SUBMISSION = 120.0
"""Seconds in which a submission that was begun may still bring a job about."""

SIGN_OF_LIFE = 180.0
"""Seconds after a machine's last entry in the ledger in which it counts as running: it makes one a minute."""

_LAUNCHES = ("launching", "launch_failed", "launched", "stopped")
_ENDS = ("launch_failed", "stopped", "budget_raised", "machine_ended", "budget_spent", "stage_failed", "destroyed")
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
    again: bool = False
    """Whether the run was launched before."""
    budget: float | None = None
    """The cap in dollars from now on, where it is raised."""


def require_ground(bucket: str, jobs: Jobs) -> None:
    """Check that machines can be rented, where the bucket can be reached.

    Raises:
        ConfigError: the bucket is a folder here, or SkyPilot may not use its cloud.
    """
    here = "without a cloud, `make rehearse` runs the same pipeline on this machine"
    scheme, separator, _ = bucket.partition("://")
    if not separator:
        raise ConfigError(
            f"runs are kept in the folder {bucket}, which no machine in a cloud can reach: set CORTEX_BUCKET=s3://... "
            f"(`make infra-up` makes a bucket and writes it to .env); {here}"
        )
    cloud = HOMES.get(scheme, (None, None))[0]
    enabled = jobs.enabled_clouds()
    if not enabled:
        raise ConfigError(f"SkyPilot may use no cloud: `.venv/bin/sky check` says what is missing; {here}")
    if cloud and cloud not in enabled:
        raise ConfigError(
            f"the bucket {bucket} is at {cloud}, and SkyPilot may use {', '.join(enabled)} only: "
            f"`.venv/bin/sky check {cloud}` says what is missing; {here}"
        )


def launch(order: Order, store: Store, jobs: Jobs, clock: Callable[[], float] = time.time) -> int | None:
    """Submit a run, and return its job's number; None where it had been submitted, by one that was killed before it
    could say so.

    Raises:
        ConfigError: the run exists under another profile.
        RefusedError: it is running, or being launched.
        BudgetError: it has spent its budget, and it is not raised.
        CortexError: SkyPilot does not take it.
    """
    create_run(store, order.run, order.profile)
    if _require_idle(order.run, store, jobs, clock()):
        return None
    _require_money(order, LedgerReader(store, order.run).new_events())
    PriceList(taken=clock(), offers=order.offers).write(store, order.run)
    # Machines take later epochs, and what an earlier one may still write is refused.
    ledger = Ledger(store, order.run, Lease.take(store, order.run).epoch, clock)
    if order.budget is not None:
        ledger.hold("budget_raised", dollars=order.budget)
    name = job_name(order.run)
    ledger.append("launching", name=name, owner=order.owner)
    try:
        number = jobs.submit(order.documents, name, order.secrets)
    except CortexError as error:
        ledger.append("launch_failed", name=name, reason=str(error)[:500])
        raise
    tasks = [str(document.get("name")) for document in order.documents]
    ledger.append(
        "launched", job=number, name=name, tasks=tasks, pipeline=order.pipeline, owner=order.owner, again=order.again
    )
    return number


def stop(run: str, store: Store, jobs: Jobs) -> tuple[str, ...]:
    """Cancel a run's job and give its machines back; return what was cancelled. Checkpoints stay. Doing it again finds
    nothing to do.

    Raises:
        UsageError: there is neither such a job nor such a run.
        CortexError: SkyPilot cannot cancel it.
    """
    running = tuple(name for name in jobs.of_run(run) if name.startswith("job/"))
    if not running:
        load_run(store, run)
    for name in running:
        jobs.destroy(name)
    try:
        last = _last(LedgerReader(store, run).new_events(), _LAUNCHES)
        unsaid = last is not None and last["event"] in ("launching", "launched")
        if running or (unsaid and not find(store, artifact_prefix(run, "release"))):
            numbers = [int(name.partition("/")[2]) for name in running]
            Ledger(store, run, Lease.take(store, run).epoch).append("stopped", job=next(iter(numbers), None))
    except StoreError as error:
        # What costs money has been ended; a bucket that does not answer must not say otherwise.
        logger.warning(f"stopping {run} without an entry in its ledger: {error}")
    return running


def _require_idle(run: str, store: Store, jobs: Jobs, now: float) -> bool:
    """Refuse where the run is running. True where its job is there, and was only not entered in the ledger."""
    running = jobs.of_run(run)
    events = LedgerReader(store, run).new_events()
    last = _last(events, _LAUNCHES)
    begun = last is not None and last["event"] == "launching"
    if running and begun:
        return True
    if running:
        raise RefusedError(
            f"run {run} is running ({', '.join(running)}): `cortex status {run}` shows it, `cortex stop {run}` ends it"
        )
    if last is not None and begun and now - last["time"] < SUBMISSION:
        raise RefusedError(
            f"run {run} is being launched by {last.get('owner')} since {now - last['time']:.0f} s: see with `cortex "
            f"status {run}` what becomes of it; if nothing, launch it again in {SUBMISSION:.0f} s"
        )
    newest = max(events, key=lambda event: event["time"], default=None)
    if newest is not None and newest["event"] not in (*_ENDS, "launching") and now - newest["time"] < SIGN_OF_LIFE:
        raise RefusedError(
            f"run {run} is running elsewhere: it wrote {newest['event']!r} {now - newest['time']:.0f} s ago, and "
            f"SkyPilot's server knows no job of it: see `cortex status {run}`, and `cortex stop {run}` where it was "
            f"launched; a machine that is gone counts as such after {SIGN_OF_LIFE:.0f} s"
        )
    return False


def _require_money(order: Order, events: list[Event]) -> None:
    last = _last(events, ("budget_spent", "budget_raised"))
    caps = [order.profile.budget.dollars, *(event["dollars"] for event in events if event["event"] == "budget_raised")]
    if order.budget is not None and order.budget <= max(caps):
        raise ConfigError(f"run {order.run} may spend ${max(caps):,.2f} already: --budget {order.budget:g} is no more")
    if order.budget is None and last is not None and last["event"] == "budget_spent":
        raise BudgetError(
            f"run {order.run} has spent its budget of ${max(caps):,.2f}: raise it with `cortex resume {order.run} "
            "--budget DOLLARS`"
        )


def _last(events: list[Event], names: tuple[str, ...]) -> Event | None:
    return max((event for event in events if event["event"] in names), key=lambda event: event["time"], default=None)


def finished(run: str, store: Store) -> None:
    """Refuse to launch what is done.

    Raises:
        DataError: the run has its release.
    """
    if find(store, artifact_prefix(run, "release")):
        raise DataError(f"run {run} is finished: `cortex show {run}`, and `cortex download {run}` brings it home")
