"""Verbs that rent machines: a run's, one to work on, a teacher's; and those that end a run and start it again."""

import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import ConfigError, RefusedError, UsageError
from cortex.verbs.words import INTERRUPTED, Run, read_path

if TYPE_CHECKING:
    from cortex.console import Console
    from cortex.runs.profile import Profile
    from cortex.settings import Settings

app = typer.Typer()

Pipeline = Annotated[
    Path | None, typer.Option("--pipeline", parser=read_path, metavar="PATH", help="In place of sky.yaml.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Stop after the plan, and write what would be submitted.")]
Force = Annotated[bool, typer.Option("--force", help="Launch although a check fails.")]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="Return once it is submitted.")]


@app.command()
def launch(
    profile: Annotated[str, typer.Option(help="A name in jobs/profiles/, or a path.")],
    run_id: Annotated[str | None, typer.Option("--run", help="The new run's id; one is made up otherwise.")] = None,
    pipeline: Pipeline = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    no_follow: NoFollow = False,
    force: Force = False,
) -> None:
    """Run the whole pipeline in the cloud: check, show the plan, ask, submit it as one managed job, follow."""
    from cortex.runs.context import check_run_id, new_run_id
    from cortex.runs.profile import load_profile

    resolved = load_profile(profile)
    run = check_run_id(run_id) if run_id else new_run_id(resolved)
    _start(run, resolved, pipeline, yes=yes, dry_run=dry_run, follow=not no_follow, force=force)


@app.command()
def resume(
    run_id: Run,
    budget: Annotated[float | None, typer.Option(help="Raise the run's cap, in dollars.")] = None,
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
    store = Store.open(Settings().bucket_url)
    profile = load_run(store, run_id)
    finished(run_id, store)
    limit = cap(LedgerReader(store, run_id, ticks=1).new_events(), profile.budget.dollars) if budget is None else budget
    asked = {"yes": yes, "dry_run": dry_run, "follow": not no_follow, "force": force}
    _start(run_id, profile, pipeline, **asked, again=True, budget=budget, limit=limit)


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
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Start a machine that is no run's; those of jobs/ end by themselves when they are idle."""
    import os

    from cortex.console import Console
    from cortex.fleet.jobs import SkyPilotJobs
    from cortex.fleet.names import cluster_name
    from cortex.fleet.plan import make_plan
    from cortex.fleet.tasks import find_job, resolve_job
    from cortex.settings import Settings

    settings, path = Settings(), find_job(name)
    document = resolve_job(path, settings=settings)
    if not dry_run:
        _require_terminal(yes)
        _require_pushed([document])
    cluster = cluster_name(path.stem)
    plan = make_plan(cluster, [document], settings.bucket_url, os.environ, where=path)
    plan.print(Console())
    missing = [secret for secret, known in plan.secrets.items() if not known and secret.startswith("CORTEX_")]
    if missing and not dry_run:
        raise ConfigError(f"{path.name} needs {', '.join(missing)}: set it in this shell, then run this again")
    if dry_run:
        _write([document], cluster, settings.work(cluster))
        return
    if not yes:
        typer.confirm(f"Start {cluster}?", abort=True)
    with _told_if_interrupted(f"{cluster} may come up all the same: `.venv/bin/sky down {cluster}` ends it"):
        SkyPilotJobs().start_cluster(document, cluster, dict(os.environ))
    print(f"{cluster} is up: `ssh {cluster}`; `.venv/bin/sky down {cluster}` ends it at once")


def _start(
    run: str,
    profile: "Profile",
    pipeline: Path | None,
    *,
    yes: bool,
    dry_run: bool,
    follow: bool,
    force: bool,
    again: bool = False,
    budget: float | None = None,
    limit: float | None = None,
) -> None:
    """Launch a run, or one `again`. `budget` is what its cap is raised to, `limit` the cap that then holds, where it is
    not the profile's."""
    import os

    from cortex.artifacts.names import BASES
    from cortex.artifacts.store import Store
    from cortex.console import Console
    from cortex.fleet.jobs import SkyPilotJobs
    from cortex.fleet.launch import Order, require_bucket
    from cortex.fleet.launch import launch as submit
    from cortex.fleet.names import job_name
    from cortex.fleet.plan import make_plan
    from cortex.fleet.run_role import RunRole
    from cortex.fleet.status_view import follow as watch
    from cortex.fleet.tasks import resolve
    from cortex.runs.base_pin import mirror_prefix
    from cortex.runs.base_revision import pin_now
    from cortex.runs.pipeline import SKY_YAML
    from cortex.runs.run_secret import RunSecret
    from cortex.settings import Settings

    settings, path, console = Settings(), pipeline or SKY_YAML, Console()
    documents = resolve(profile, run, pipeline=path, settings=settings)
    if not dry_run:
        _require_terminal(yes)
        require_bucket(settings.bucket_url)
    faults = _look(run, _limited(profile, limit), documents, settings, console)
    if faults and not (dry_run or force):
        raise ConfigError(f"run {run} is not launched: {faults}")
    title = f"run {run}, profile {profile.name} ({profile.digest[:12]})"
    plan = make_plan(title, documents, settings.bucket_url, os.environ, where=path, profile=profile, budget=limit)
    plan.print(console)
    if dry_run:
        _write(documents, job_name(run), settings.work(run))
        if faults:
            raise ConfigError(f"run {run} could not be launched: {faults}")
        return
    if not yes:
        typer.confirm(f"Launch run {run}?", abort=True)
    store = Store.open(settings.bucket_url)
    secret = RunSecret.of(run, settings)
    base = pin_now(store, secret, profile.model, os.environ)
    if base:
        print(f"base {base.meta['base']} at revision {base.meta['revision']}: {base.size / 1e9:.1f} GB", flush=True)
    mirrored = (mirror_prefix(base) or "").removeprefix(f"{BASES}/") if base else None
    role = RunRole(run, settings.run_policy, mirrored) if settings.run_policy else None
    order = Order(
        run,
        profile,
        documents,
        plan.offers,
        path.name,
        plan.owner,
        dict(os.environ),
        secret,
        base=base,
        role=role,
        again=again,
        budget=budget,
    )
    ways_out = f"`make stop RUN={run}` ends it, `make resume RUN={run}` goes on"
    with _told_if_interrupted(f"run {run} may be submitted all the same: {ways_out}"):
        print(f"run {run} is submitted as {submit(order, store, SkyPilotJobs())}", flush=True)
    print(_have_watched(settings.home), flush=True)
    if follow:
        watch(store, run, console)


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


def _limited(profile: "Profile", dollars: float | None) -> "Profile":
    """The profile with the cap that holds, for who compares it with a forecast."""
    limited = profile.budget if dollars is None else profile.budget.model_copy(update={"dollars": dollars})
    return profile.model_copy(update={"budget": limited})


def _look(
    run: str, profile: "Profile", documents: list[dict[str, Any]], settings: "Settings", console: "Console"
) -> str:
    """Ask every check, and show what they say; which of them failed, as a sentence, or nothing."""
    from cortex.fleet.preflight import preflight
    from cortex.fleet.preflight.finding import failed, table

    findings = preflight(profile, run, settings, documents)
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
