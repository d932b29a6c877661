"""The steps of a launch at the command line: check, show the plan, ask, submit, follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cortex.errors import ConfigError
from cortex.verbs.rent_options import print_if_interrupted, require_target, require_terminal, write_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cortex.artifacts.store import Store
    from cortex.console import Console
    from cortex.fleet.clouds.abilities import Target
    from cortex.fleet.launch.launch_plan import Plan
    from cortex.fleet.launch.run_launch import Order
    from cortex.profiles.profile import Profile
    from cortex.runs.deadline_standing import Deadline
    from cortex.runs.events import Event
    from cortex.settings import Settings


@dataclass(frozen=True)
class LaunchOptions:
    """The options that `launch` and `resume` share."""

    pipeline: Path | None
    """In place of sky.yaml."""
    cloud: str | None
    yes: bool
    dry_run: bool
    follow: bool
    force: bool
    through: str | None = None
    """The last stage to run; None: all."""


@dataclass(frozen=True)
class Relaunch:
    """A run's past, and its new limits; None leaves a limit unchanged."""

    events: "Sequence[Event]"
    """The run's ledger."""
    cap: float
    """The cap in dollars that holds from now on."""
    budget: float | None = None
    """The new cap in dollars."""
    deadline: float | None = None
    """In hours from the first launch."""
    max_duration: float | None = None
    """In hours from the first launch."""


def start_run(run: str, profile: "Profile", options: LaunchOptions, again: Relaunch | None = None) -> None:
    """Launch a run; one that was launched before is launched `again`."""
    import os

    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.launch.launch_plan import make_plan
    from cortex.fleet.launch.run_launch import require_bucket
    from cortex.fleet.status.status_view import follow
    from cortex.fleet.tasks.bucket_keys import with_bucket_keys
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    settings, path, console = Settings(), options.pipeline or SKY_YAML, Console()
    limit = again.cap if again else None
    place = require_target(options.cloud)
    documents, target = _resolve(run, profile, path, settings, again, place, options.through)
    environment = with_bucket_keys(os.environ, settings.bucket_url) if place else dict(os.environ)
    if not options.dry_run:
        require_terminal(options.yes)
        require_bucket(settings.bucket_url)
    limited = _with_limits(profile, limit, target.hours if target else 0.0)
    faults = _run_checks(run, limited, documents, settings, console, environment)
    if faults and not (options.dry_run or options.force):
        raise ConfigError(f"run {run} is not launched: {faults}")
    title = f"run {run}, profile {profile.name} ({profile.digest[:12]})"
    plan = make_plan(
        title, documents, settings.bucket_url, environment, where=path, profile=profile, budget=limit, deadline=target
    )
    plan.print(console)
    if options.dry_run:
        _end_dry_run(run, documents, settings, faults)
        return
    if not options.yes:
        typer.confirm(f"Launch run {run}?", abort=True)
    store = open_store(settings.bucket_url)
    order = replace(_order(run, profile, documents, plan, path, store, environment), deadline=target)
    if again:
        order = replace(order, again=True, budget=again.budget, max_duration=again.max_duration)
    _submit(order, store)
    print(_ensure_watcher(settings.home), flush=True)
    if options.follow:
        follow(store, run, console)


def _end_dry_run(run: str, documents: list[dict[str, Any]], settings: "Settings", faults: str) -> None:
    """Write the tasks that would be submitted, and fail if a check did."""
    from cortex.fleet.clouds.job_names import job_name

    write_tasks(documents, job_name(run), settings.work(run))
    if faults:
        raise ConfigError(f"run {run} could not be launched: {faults}")


def _submit(order: "Order", store: "Store") -> None:
    from cortex.fleet.launch.jobs import SkyPilotJobs
    from cortex.fleet.launch.run_launch import launch

    run = order.run
    ways_out = f"`make stop RUN={run}` ends it, `make resume RUN={run}` goes on"
    with print_if_interrupted(f"run {run} may be submitted all the same: {ways_out}"):
        print(f"run {run} is submitted as {launch(order, store, SkyPilotJobs())}", flush=True)


def _order(
    run: str,
    profile: "Profile",
    documents: list[dict[str, Any]],
    plan: "Plan",
    path: Path,
    store: "Store",
    environment: "Mapping[str, str]",
) -> "Order":
    """The order to launch a run: with its secret, its base's pin, and the role of its machines in AWS."""
    from cortex.artifacts.file_names import BASES
    from cortex.bases.base_pin import mirror_prefix
    from cortex.bases.base_revision import pin_now
    from cortex.fleet.clouds.task_clouds import goes_to
    from cortex.fleet.launch.run_launch import Order
    from cortex.fleet.launch.run_role import RunRole
    from cortex.runs.run_secret import RunSecret
    from cortex.settings import Settings

    settings = Settings()
    secret = RunSecret.of(run, settings)
    base = pin_now(store, secret, profile.model, environment)
    if base:
        print(f"base {base.meta['base']} at revision {base.meta['revision']}: {base.size / 1e9:.1f} GB", flush=True)
    mirrored = (mirror_prefix(base) or "").removeprefix(f"{BASES}/") if base else None
    role = RunRole.of(run, settings, mirrored) if goes_to(documents, "aws") else None
    return Order(run, profile, documents, plan.offers, path.name, plan.owner, environment, secret, base=base, role=role)


def _resolve(
    run: str,
    profile: "Profile",
    path: Path,
    settings: "Settings",
    again: Relaunch | None,
    place: "Target | None",
    through: str | None,
) -> "tuple[list[dict[str, Any]], Deadline | None]":
    """A run's tasks as they are submitted, and the deadline by which their machines are chosen: the raised one, else
    that of the ledger or the profile."""
    import time

    from cortex.fleet.launch.new_deadline import make_deadline
    from cortex.fleet.tasks.run_tasks import resolve
    from cortex.runs.deadline_standing import Deadline

    events = again.events if again else ()
    known = Deadline.read(events)
    raised = again.deadline if again else None
    hours = raised or (known.hours if known else profile.budget.hours)
    documents = resolve(profile, run, pipeline=path, settings=settings, target=place, through=through)
    if not hours:
        return documents, None
    target = make_deadline(profile, documents, path, hours, time.time(), events=events)
    renting = "spot first" if target.spot else "on demand"
    resolved = resolve(profile, run, pipeline=path, settings=settings, renting=renting, target=place, through=through)
    return resolved, target


def _ensure_watcher(home: Path) -> str:
    """Make sure that `cortex watch` runs where SkyPilot's server is: start it here unless the server is remote."""
    from cortex.fleet.clouds.skypilot import has_remote_server
    from cortex.fleet.watch.background import log_path, start_watcher

    if has_remote_server():
        return "launches that fail are ended by `cortex watch` on SkyPilot's server"
    start_watcher(home)
    return f"launches that fail are ended by `cortex watch`, from here: its log is {log_path(home)}"


def _with_limits(profile: "Profile", dollars: float | None, hours: float) -> "Profile":
    """The profile with the cap and the deadline that hold, for checks that compare them with the estimate."""
    limits = {"hours": hours} | ({} if dollars is None else {"dollars": dollars})
    return profile.model_copy(update={"budget": profile.budget.model_copy(update=limits)})


def _run_checks(
    run: str,
    profile: "Profile",
    documents: list[dict[str, Any]],
    settings: "Settings",
    console: "Console",
    environment: "Mapping[str, str]",
) -> str:
    """Run every check and print the findings; return a sentence about the failed ones, or an empty text."""
    from cortex.fleet.preflight import preflight
    from cortex.fleet.preflight.finding import failed, table

    findings = preflight(profile, run, settings, documents, environment=environment)
    console.print(table(findings))
    faults = [finding.check for finding in failed(findings)]
    if not faults:
        return ""
    here = "; without a cloud, `make rehearse` runs the same pipeline on this machine" if "clouds" in faults else ""
    return f"{', '.join(faults)} failed; each fix is in the table{here}"
