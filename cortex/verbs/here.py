"""Verbs that work on this machine: one stage, the whole pipeline, a drill."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.text import json_text
from cortex.verbs.options import INTERRUPTED, AsJson, Set, Through, read_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cortex.artifacts.store import Store
    from cortex.console import Console
    from cortex.profiles.profile import Profile
    from cortex.settings import Settings

app = typer.Typer()


@app.command()
def run(
    stages: Annotated[list[str], typer.Argument(help="Stages, in order.")],
    run_id: Annotated[str, typer.Option("--run", envvar="RUN_ID", help="The run's id.")],
    profile: Annotated[str | None, typer.Option(envvar="CORTEX_PROFILE", help="The profile of a new run.")] = None,
) -> None:
    """Run stages of a run now, on this machine, in this program's environment."""
    from cortex.artifacts.open_store import open_store
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.context import create_run, load_run
    from cortex.runs.run_secret import RunSecret, bind_run
    from cortex.settings import Settings
    from cortex.stages.runner import run_stages

    settings = Settings()
    store = open_store(settings.bucket_url)
    resolved = create_run(store, run_id, load_profile(profile)) if profile else load_run(store, run_id)
    bind_run(store, RunSecret.of(run_id, settings), resolved, settings.profile_digest)
    for name, made in run_stages(stages, run_id, resolved, store, settings):
        print(f"{name}: {'done' if made else 'nothing to do'}", flush=True)


@app.command()
def rehearse(
    profile: Annotated[str | None, typer.Option(help="A name in jobs/profiles/, or a path.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Continue this run, or name a new one.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            parser=read_path,
            metavar="PATH",
            help="A parquet or CSV file, or a folder of them, in place of the profile's source.",
        ),
    ] = None,
    sets: Set = None,
    seed: Annotated[int | None, typer.Option(help="In place of the profile's seed.")] = None,
    containers: Annotated[
        bool, typer.Option("--containers", help="Run stages in containers of their images, in place of environments.")
    ] = False,
    through: Through = None,
) -> None:
    """Run the whole pipeline on this machine: no cloud, no GPU, no account."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.local.places import Venvs
    from cortex.local.rehearsal import Rehearsal
    from cortex.local.teacher_runs import teachers_first
    from cortex.runs.context import new_run_id
    from cortex.runs.stage_list import up_to
    from cortex.settings import Settings

    settings, console = Settings(), Console()
    up_to((), through)  # refuses an unknown stage before anything is made
    store = open_store(settings.bucket_url)
    resolved = _resolve_profile(store, run_id, profile, data, sets or (), seed)
    name = run_id or new_run_id(resolved)
    console.print(f"run {name}  (go on with it after an interruption: make rehearse RUN={name})", soft_wrap=True)
    try:
        for one, its_profile in [*teachers_first(store, resolved), (name, resolved)]:
            if one != name:
                console.print(f"first run {one}, the teacher of {name}", soft_wrap=True)
            if containers:
                from cortex.local.containers import Containers

                places = Containers(one, its_profile, store, settings)
            else:
                places = Venvs(store, settings)
            asked = through if one == name else None
            Rehearsal(one, its_profile, store, settings, console, places, asked).start()
    except KeyboardInterrupt as interruption:
        print(f"interrupted; what is done is kept: `make rehearse RUN={name}` goes on from there", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption
    _sign_release(name, store, settings)
    _show_run(name, store, settings, console)


@app.command()
def drill(
    profile: Annotated[str, typer.Option(help="A name in jobs/profiles/, or a path.")] = "rehearsal",
    stage: Annotated[str, typer.Option(help="The stage to drill: sft (Axolotl) or grpo (TRL).")] = "grpo",
    faults: Annotated[
        str | None, typer.Option(help="Only faults whose names contain one of these words, comma-separated.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only a few faults.")] = False,
    as_json: AsJson = False,
) -> None:
    """Damage, kill and interrupt a small stand-in of a profile's training: exits 0 only if nothing was lost."""
    from cortex.console import Console
    from cortex.drill.drill import drill as try_all
    from cortex.drill.drill_report import print_report
    from cortex.drill.stand_in import find_trainer
    from cortex.process import terminable
    from cortex.profiles.profile_file import load_profile
    from cortex.settings import Settings

    words = [word.strip() for word in (faults or "").split(",") if word.strip()]
    progress = Console(stderr=True)
    chosen, trainer = load_profile(profile), find_trainer(stage)
    try:
        with terminable():
            report = try_all(chosen, trainer, Settings(), progress, faults=words, quick=quick)
    except KeyboardInterrupt as interruption:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption
    if as_json:
        print(json_text(report.to_json()))
    else:
        print_report(report, Console())
    raise typer.Exit(0 if report.held else 1)


def _resolve_profile(
    store: "Store", run_id: str | None, profile: str | None, data: Path | None, sets: "Sequence[str]", seed: int | None
) -> "Profile":
    """The stored profile of a run that continues, or a new run's, with the values that were given."""
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.context import list_runs, load_run

    if run_id and profile is None and data is None and seed is None and not sets and run_id in list_runs(store):
        return load_run(store, run_id)
    overrides: dict[str, object] = {}
    if data is not None:
        overrides["domain.source"] = {"kind": "files", "paths": [str(data.absolute())]}
    if seed is not None:
        overrides["seed"] = seed
    return load_profile(profile or "rehearsal", overrides, sets)


def _sign_release(name: str, store: "Store", settings: "Settings") -> None:
    """Sign the release with the user's own key, if there is one.

    It is not done in the stage, since the images have no signing library, and the key stays with its owner.
    """
    from cortex.artifacts.signing_keys import PRIVATE_KEY
    from cortex.artifacts.trust import read_signature
    from cortex.fleet.home.download import sign_release
    from cortex.runs.context import artifact_prefix

    own = settings.keys / PRIVATE_KEY
    release = store.local_path(artifact_prefix(name, "release"))
    if own.exists() and release and release.exists() and read_signature(release) is None:
        sign_release(name, store, release, own)


def _show_run(name: str, store: "Store", settings: "Settings", console: "Console") -> None:
    from cortex.artifacts.trust import Trust, trusted_keys
    from cortex.fleet.home.download import signer_of
    from cortex.runs.show import describe_run, last_lines, print_run

    described = describe_run(store, name)
    if described["release"]:
        trust = Trust(trusted_keys(settings.trusted_keys or settings.keys))
        described["signed"] = str(signer_of(store, name, trust))
    print_run(described, console)
    for line in last_lines(described):
        print(line, flush=True)
