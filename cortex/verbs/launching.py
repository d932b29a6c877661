"""Verbs that rent machines: a run's, one to work on, a teacher's; and those that end a run and start it again."""

import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import ConfigError, RefusedError, UsageError
from cortex.verbs.words import INTERRUPTED, Run, Set, read_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cortex.artifacts.store import Store
    from cortex.console import Console
    from cortex.fleet.abilities import Target
    from cortex.fleet.launch import Order
    from cortex.fleet.plan import Plan
    from cortex.runs.deadline_standing import Deadline as DeadlineOf
    from cortex.runs.events import Event
    from cortex.runs.profile import Profile
    from cortex.settings import Settings

app = typer.Typer()

Pipeline = Annotated[
    Path | None, typer.Option("--pipeline", parser=read_path, metavar="PATH", help="In place of sky.yaml.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Stop after the plan, and write what would be submitted.")]
Force = Annotated[bool, typer.Option("--force", help="Launch although a check fails.")]
Deadline = Annotated[
    float | None, typer.Option(metavar="HOURS", help="End within so long from the first launch, on demand if need be.")
]
Cloud = Annotated[
    str | None,
    typer.Option(metavar="CLOUD[/PLACE]", help="Only there: vast, runpod, lambda, gcp/us-central1, ssh/<pool>, ..."),
]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="Return once it is submitted.")]


@dataclass(frozen=True)
class Raised:
    """What the limits of a run that is launched again are raised to; None leaves one as it is."""

    budget: float | None = None
    """In dollars."""
    deadline: float | None = None
    """In hours from the first launch, as the next."""
    max_duration: float | None = None


@app.command()
def launch(
    profile: Annotated[str, typer.Option(help="A name in jobs/profiles/, or a path.")],
    run_id: Annotated[str | None, typer.Option("--run", help="The new run's id; one is made up otherwise.")] = None,
    sets: Set = None,
    deadline: Deadline = None,
    cloud: Cloud = None,
    pipeline: Pipeline = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    no_follow: NoFollow = False,
    force: Force = False,
) -> None:
    """Run the whole pipeline in the cloud: check, show the plan, ask, submit it as one managed job, follow."""
    from cortex.runs.context import check_run_id, new_run_id
    from cortex.runs.profile_file import load_profile

    _require_hours("--deadline", deadline)
    resolved = load_profile(profile, None if deadline is None else {"budget.hours": deadline}, sets)
    run = check_run_id(run_id) if run_id else new_run_id(resolved)
    _start(run, resolved, pipeline, cloud=cloud, yes=yes, dry_run=dry_run, follow=not no_follow, force=force)


@app.command()
def resume(
    run_id: Run,
    budget: Annotated[float | None, typer.Option(help="Raise the run's cap, in dollars.")] = None,
    deadline: Deadline = None,
    max_duration: Annotated[
        float | None, typer.Option(metavar="HOURS", help="Raise how long the run may take from its first launch.")
    ] = None,
    cloud: Cloud = None,
    pipeline: Pipeline = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    no_follow: NoFollow = False,
    force: Force = False,
) -> None:
    """Launch a run again, under its own profile: what is finished is skipped, what was begun goes on."""
    from cortex.artifacts.store import Store
    from cortex.fleet.launch import finished
    from cortex.runs.budget import cap
    from cortex.runs.context import load_run
    from cortex.runs.ledger import LedgerReader
    from cortex.settings import Settings

    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise UsageError(f"--budget {budget:g} is no cap: give the dollars that the whole run may cost, above 0")
    _require_hours("--deadline", deadline)
    _require_hours("--max-duration", max_duration)
    store = Store.open(Settings().bucket_url)
    profile = load_run(store, run_id)
    finished(run_id, store)
    events = LedgerReader(store, run_id, ticks=1).new_events()
    limit = cap(events, profile.budget.dollars) if budget is None else budget
    raised = Raised(budget, deadline, max_duration)
    asked = {"yes": yes, "dry_run": dry_run, "follow": not no_follow, "force": force}
    _start(run_id, profile, pipeline, cloud=cloud, **asked, again=True, raised=raised, limit=limit, events=events)


@app.command()
def stop(run_id: Run) -> None:
    """Cancel a run's job and give its machines back; its checkpoints stay, and `resume` goes on from them."""
    from cortex.artifacts.store import Store
    from cortex.fleet.jobs import SkyPilotJobs
    from cortex.fleet.launch import stop as cancel
    from cortex.settings import Settings

    stopped = cancel(run_id, Store.open(Settings().bucket_url), SkyPilotJobs())
    for name in stopped:
        print(f"{name}: cancelled, and its machines given back")
    print(f"checkpoints stay: `make resume RUN={run_id}` goes on" if stopped else f"nothing of run {run_id} is running")


@app.command()
def rent(
    name: Annotated[str, typer.Argument(help="A file in jobs/: workbench or teacher; or the path of one like them.")],
    cloud: Cloud = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Start a machine that is no run's; those of jobs/ end by themselves when they are idle."""
    import os

    from cortex.console import Console
    from cortex.fleet.elsewhere import carried, missing
    from cortex.fleet.jobs import SkyPilotJobs
    from cortex.fleet.names import cluster_name
    from cortex.fleet.plan import make_plan
    from cortex.fleet.tasks import find_job, resolve_job
    from cortex.settings import Settings

    settings, path = Settings(), find_job(name)
    target = _require_target(cloud)
    document = resolve_job(path, settings=settings, target=target)
    environment = carried(os.environ, settings.bucket_url) if target else dict(os.environ)
    if not dry_run:
        _require_terminal(yes)
        _require_pushed([document])
    cluster = cluster_name(path.stem)
    plan = make_plan(cluster, [document], settings.bucket_url, environment, where=path)
    plan.print(Console())
    unset = [secret for secret, known in plan.secrets.items() if not known and secret.startswith("CORTEX_")]
    if unset and not dry_run:
        raise ConfigError(f"{path.name} needs {', '.join(unset)}: set it in this shell, then run this again")
    lacks = missing([document], settings.bucket_url, environment) if "CORTEX_BUCKET" in document["envs"] else []
    if lacks and not dry_run:
        raise ConfigError("; ".join(f"{words}: {fix}" for words, fix in lacks))
    if dry_run:
        _write([document], cluster, settings.work(cluster))
        return
    if not yes:
        typer.confirm(f"Start {cluster}?", abort=True)
    with _told_if_interrupted(f"{cluster} may come up all the same: `.venv/bin/sky down {cluster}` ends it"):
        SkyPilotJobs().start_cluster(document, cluster, environment)
    print(f"{cluster} is up: `ssh {cluster}`; `.venv/bin/sky down {cluster}` ends it at once")


def _start(
    run: str,
    profile: "Profile",
    pipeline: Path | None,
    *,
    cloud: str | None,
    yes: bool,
    dry_run: bool,
    follow: bool,
    force: bool,
    again: bool = False,
    raised: Raised | None = None,
    limit: float | None = None,
    events: "Sequence[Event]" = (),
) -> None:
    """Launch a run, or one `again`, of which `events` are in its ledger. `limit` is the cap of dollars that holds,
    where it is not the profile's."""
    import os

    from cortex.artifacts.store import Store
    from cortex.console import Console
    from cortex.fleet.elsewhere import carried
    from cortex.fleet.jobs import SkyPilotJobs
    from cortex.fleet.launch import launch as submit
    from cortex.fleet.launch import require_bucket
    from cortex.fleet.names import job_name
    from cortex.fleet.plan import make_plan
    from cortex.fleet.status_view import follow as watch
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    settings, path, console, raised = Settings(), pipeline or SKY_YAML, Console(), raised or Raised()
    place = _require_target(cloud)
    documents, target = _resolve(run, profile, path, settings, raised.deadline, events, place)
    environment = carried(os.environ, settings.bucket_url) if place else dict(os.environ)
    if not dry_run:
        _require_terminal(yes)
        require_bucket(settings.bucket_url)
    limited = _limited(profile, limit, target.hours if target else 0.0)
    faults = _look(run, limited, documents, settings, console, environment)
    if faults and not (dry_run or force):
        raise ConfigError(f"run {run} is not launched: {faults}")
    title = f"run {run}, profile {profile.name} ({profile.digest[:12]})"
    plan = make_plan(
        title, documents, settings.bucket_url, environment, where=path, profile=profile, budget=limit, deadline=target
    )
    plan.print(console)
    if dry_run:
        _write(documents, job_name(run), settings.work(run))
        if faults:
            raise ConfigError(f"run {run} could not be launched: {faults}")
        return
    if not yes:
        typer.confirm(f"Launch run {run}?", abort=True)
    store = Store.open(settings.bucket_url)
    order = _order(run, profile, documents, plan, path, store, environment)
    order = replace(
        order,
        again=again,
        budget=raised.budget,
        max_duration=raised.max_duration,
        deadline=target,
    )
    ways_out = f"`make stop RUN={run}` ends it, `make resume RUN={run}` goes on"
    with _told_if_interrupted(f"run {run} may be submitted all the same: {ways_out}"):
        print(f"run {run} is submitted as {submit(order, store, SkyPilotJobs())}", flush=True)
    print(_have_watched(settings.home), flush=True)
    if follow:
        watch(store, run, console)


def _order(
    run: str,
    profile: "Profile",
    documents: list[dict[str, Any]],
    plan: "Plan",
    path: Path,
    store: "Store",
    environment: "Mapping[str, str]",
) -> "Order":
    """A run as it is launched: with its secret, its base's pin, and the role of its machines in AWS."""
    from cortex.artifacts.names import BASES
    from cortex.fleet.elsewhere import goes_to
    from cortex.fleet.launch import Order
    from cortex.fleet.run_role import RunRole
    from cortex.runs.base_pin import mirror_prefix
    from cortex.runs.base_revision import pin_now
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
    deadline: float | None,
    events: "Sequence[Event]",
    place: "Target | None",
) -> "tuple[list[dict[str, Any]], DeadlineOf | None]":
    """A run's tasks as they are submitted, and the deadline that their machines are chosen by: what it is raised to,
    else what its ledger or its profile says."""
    import time

    from cortex.fleet.deadline.making import make_deadline
    from cortex.fleet.tasks import resolve
    from cortex.runs.deadline_standing import Deadline as DeadlineOf

    known = DeadlineOf.read(events)
    hours = deadline or (known.hours if known else profile.budget.hours)
    documents = resolve(profile, run, pipeline=path, settings=settings, target=place)
    if not hours:
        return documents, None
    target = make_deadline(profile, documents, path, hours, time.time(), events=events)
    renting = "spot first" if target.spot else "on demand"
    return resolve(profile, run, pipeline=path, settings=settings, renting=renting, target=place), target


@contextmanager
def _told_if_interrupted(what: str) -> Generator[None]:
    """What was asked of SkyPilot is not taken back by Ctrl-C: say so, and leave."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        print(f"interrupted; {what}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption


def _have_watched(home: Path) -> str:
    """See that launches that fail are ended where SkyPilot's server is: here, unless another is named."""
    from cortex.fleet.skypilot import has_remote_server
    from cortex.fleet.watch.background import log_path, start_watcher

    if has_remote_server():
        return "launches that fail are ended by `cortex watch` on SkyPilot's server"
    start_watcher(home)
    return f"launches that fail are ended by `cortex watch`, from here: its log is {log_path(home)}"


def _require_target(cloud: str | None) -> "Target | None":
    """Read `--cloud`, and see that SkyPilot has what it needs for it here, before anything else is looked at."""
    if cloud is None:
        return None
    from cortex.fleet.abilities import Target
    from cortex.fleet.access import installing, missing_packages, require_pool
    from cortex.fleet.skypilot import has_remote_server

    target = Target.read(cloud)
    # A server elsewhere has its own, or not: preflight asks it.
    lacks = [] if has_remote_server() else missing_packages(target.cloud)
    if lacks:
        raise ConfigError(
            f"SkyPilot lacks packages for {target.cloud} here ({', '.join(lacks)}): {installing(target.cloud)}"
        )
    require_pool(target)
    return target


def _require_hours(option: str, hours: float | None) -> None:
    if hours is not None and not (math.isfinite(hours) and 0 < hours <= 8760):
        raise UsageError(f"{option} {hours:g} is no time: give the hours from the first launch, above 0, at most 8760")


def _limited(profile: "Profile", dollars: float | None, hours: float) -> "Profile":
    """The profile with the cap and the deadline that hold, for who compares them with a forecast."""
    limits = {"hours": hours} | ({} if dollars is None else {"dollars": dollars})
    return profile.model_copy(update={"budget": profile.budget.model_copy(update=limits)})


def _look(
    run: str,
    profile: "Profile",
    documents: list[dict[str, Any]],
    settings: "Settings",
    console: "Console",
    environment: "Mapping[str, str]",
) -> str:
    """Ask every check, and show what they say; which of them failed, as a sentence, or nothing."""
    from cortex.fleet.preflight import preflight
    from cortex.fleet.preflight.finding import failed, table

    findings = preflight(profile, run, settings, documents, environment=environment)
    console.print(table(findings))
    faults = [finding.check for finding in failed(findings)]
    if not faults:
        return ""
    here = "; without a cloud, `make rehearse` runs the same pipeline on this machine" if "clouds" in faults else ""
    return f"{', '.join(faults)} failed; each fix is in the table{here}"


def _require_pushed(documents: list[dict[str, Any]]) -> None:
    from cortex.fleet.tasks import unpushed

    missing = unpushed(documents)
    if missing:
        raise ConfigError(
            f"images/digests.json names no pushed image for {', '.join(missing)}: `make images && make push` builds "
            "and pushes them, and writes it"
        )


def _write(documents: list[dict[str, Any]], name: str, folder: Path) -> None:
    from cortex.fleet.tasks import dump

    path = folder.absolute() / "launch.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(documents, name), encoding="utf-8")
    print(f"nothing was launched; what would be submitted is in {path}")


def _require_terminal(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise RefusedError("refusing to rent machines unasked, and there is no terminal to ask at: add --yes (YES=1)")
