"""The verbs. Each reads its words, calls what does the work, and prints; nothing heavy is imported before its verb."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import CortexError, RefusedError, UsageError, VerificationError

app = typer.Typer(
    name="cortex",
    help="Fine-tune a reasoning model on spot GPUs: rehearsed, resumable, proven and judged.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
dataset = typer.Typer(help="Build and look at a dataset, without a run.", no_args_is_help=True)
app.add_typer(dataset, name="dataset")

RunOption = Annotated[str, typer.Option("--run", envvar="RUN_ID", help="The run's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def main() -> None:
    """Run the command line; an error of the kit is one line on stderr and its exit code."""
    try:
        app()
    except CortexError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.command()
def run(
    stages: Annotated[list[str], typer.Argument(help="Stages, in order.")],
    run_id: RunOption,
    profile: Annotated[str | None, typer.Option(envvar="CORTEX_PROFILE", help="Starts the run if it is new.")] = None,
) -> None:
    """Run stages of a run here and now, in the environment this program is in."""
    from cortex.artifacts.store import Store
    from cortex.runs.context import create_run, load_run
    from cortex.runs.profile import load_profile
    from cortex.settings import Settings
    from cortex.stages.runner import run_stage

    settings = Settings()
    store = Store.open(settings.bucket_url)
    resolved = create_run(store, run_id, load_profile(profile)) if profile else load_run(store, run_id)
    for name in stages:
        made = run_stage(name, run_id, resolved, store, settings)
        print(f"{name}: {'done' if made else 'nothing to do'}", flush=True)


@app.command()
def rehearse(
    profile: Annotated[str | None, typer.Option(help="A name in jobs/profiles/, or a path.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Go on with this run, or name a new one.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="A parquet or CSV file, or a folder of them, in place of the profile's source.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="In place of the profile's seed.")] = None,
) -> None:
    """Run the whole pipeline on this machine: no cloud, no GPU, no account."""
    from rich.console import Console

    from cortex.artifacts.store import Store
    from cortex.rehearsal import Rehearsal
    from cortex.runs.context import list_runs, load_run, new_run_id
    from cortex.runs.profile import load_profile
    from cortex.settings import Settings
    from cortex.show import describe_run, print_run

    settings, console = Settings(), Console(highlight=False)
    store = Store.open(settings.bucket_url)
    if run_id and profile is None and data is None and seed is None and run_id in list_runs(store):
        resolved = load_run(store, run_id)
    else:
        overrides: dict[str, object] = {}
        if data is not None:
            overrides["data.source"] = {"kind": "files", "paths": [str(data.absolute())]}
        if seed is not None:
            overrides["seed"] = seed
        resolved = load_profile(profile or "rehearsal", overrides)
    name = run_id or new_run_id(resolved)
    console.print(f"run {name}  (go on with it after an interruption: make rehearse RUN={name})", soft_wrap=True)
    try:
        Rehearsal(name, resolved, store, settings, console).start()
    except KeyboardInterrupt as interruption:
        print(f"interrupted; what is done is kept: `make rehearse RUN={name}` goes on from there", file=sys.stderr)
        raise typer.Exit(128 + signal.SIGINT) from interruption
    described = describe_run(store, name)
    print_run(described, console)
    print(last_line(described), flush=True)


@app.command()
def drill(
    profile: Annotated[str, typer.Option(help="A name in jobs/profiles/, or a path.")] = "rehearsal",
    stage: Annotated[str, typer.Option(help="Whose trainer: sft (Axolotl) or grpo (TRL).")] = "grpo",
    faults: Annotated[
        str | None, typer.Option(help="Only those whose names hold one of these, comma-separated.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A handful of faults.")] = False,
    as_json: AsJson = False,
) -> None:
    """Spoil, kill and interrupt a small stand-in of a profile's training: exits 0 only if nothing was lost by it."""
    from rich.console import Console

    from cortex.drill.drill import drill as try_all
    from cortex.drill.report import print_report
    from cortex.drill.stand_in import find_trainer
    from cortex.runs.profile import load_profile
    from cortex.settings import Settings

    words = [word.strip() for word in (faults or "").split(",") if word.strip()]
    progress = Console(stderr=True, highlight=False)
    try:
        report = try_all(load_profile(profile), find_trainer(stage), Settings(), progress, faults=words, quick=quick)
    except KeyboardInterrupt as interruption:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(128 + signal.SIGINT) from interruption
    if as_json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        print_report(report, Console(highlight=False))
    raise typer.Exit(0 if report.held else 1)


def last_line(described: dict[str, object]) -> str:
    """What a good rehearsal ends with; programs read it."""
    scores, stages = described["scores"], described["stages"]
    assert isinstance(scores, dict) and isinstance(stages, list)
    oracle = f"{scores['oracle']['brier_skill']:.4f}" if "oracle" in scores else "n/a"
    seconds = sum(stage["seconds"] for stage in stages)
    skill = scores["grpo"]["brier_skill"]
    return f"rehearsal passed run={described['run']} brier_skill={skill:.4f} oracle={oracle} seconds={seconds:.0f}"


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")], as_json: AsJson = False) -> None:
    """A run's stages, scores and verdict."""
    from rich.console import Console

    from cortex.artifacts.store import Store
    from cortex.settings import Settings
    from cortex.show import describe_run, print_run

    described = describe_run(Store.open(Settings().bucket_url), run_id)
    if as_json:
        print(json.dumps(described, indent=1))
    else:
        print_run(described, Console(highlight=False))


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="An artifact's folder.")],
    key: Annotated[Path | None, typer.Option(help="Check the signature, too, with this public key.")] = None,
    identity: Annotated[
        str | None, typer.Option(help="Check that this e-mail address or workflow signed it, without a key.")
    ] = None,
    identity_provider: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Who vouches for the identity, such as https://accounts.google.com."),
    ] = None,
) -> None:
    """Check an artifact against its manifest: exits 0, or 65 and names the first files that are not as published."""
    from cortex.artifacts.verify import verify as check

    if (identity is None) != (identity_provider is None):
        raise UsageError("--identity and --identity-provider belong together: a name means nothing but to its provider")
    found = check(path)
    if not found.ok:
        raise VerificationError(str(found))
    print(found)
    if key:
        from cortex.artifacts.signature import check_signature

        check_signature(path, key)
        print(f"{path}: signed with the key of {key}")
    if identity and identity_provider:
        from cortex.artifacts.signature import check_identity

        check_identity(path, identity, identity_provider)
        print(f"{path}: signed by {identity}, says {identity_provider}")


@app.command()
def download(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    to: Annotated[Path | None, typer.Option(help="A folder; default: releases/RUN under CORTEX_HOME.")] = None,
    from_cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="Off a live instance, by its name for ssh; no bucket is asked.")
    ] = None,
    remote_home: Annotated[
        str | None, typer.Option(metavar="DIR", help="CORTEX_HOME there, if it cannot be found.")
    ] = None,
) -> None:
    """Bring a run's release to this disk, verified; killed at any point, the same command continues."""
    from rich.console import Console

    from cortex.artifacts.store import Store
    from cortex.fleet.download import download as bring
    from cortex.fleet.download import release_of
    from cortex.fleet.progress import transfer_bar
    from cortex.settings import Settings

    settings, console = Settings(), Console(stderr=True)
    home = settings.home.absolute()
    if from_cluster:
        from cortex.fleet.box import Box
        from cortex.fleet.over_ssh import bring as bring_over_ssh
        from cortex.fleet.over_ssh import find_release

        with Box(from_cluster, settings.ssh_config) as box:
            release = find_release(box, run_id, remote_home)
            with transfer_bar(console, f"{run_id} from {from_cluster}", release.manifest.size) as advance:
                receipt = bring_over_ssh(release, home, to, advance=advance)
    elif remote_home:
        raise UsageError("--remote-home says where things are on an instance: name that one with --from-cluster")
    else:
        store = Store.open(settings.bucket_url)
        with transfer_bar(console, run_id, release_of(store, run_id).size) as advance:
            receipt = bring(run_id, store, home, to, advance=advance)
    print(f"{receipt.path}: {receipt.files} files, {receipt.size:,} bytes, verified; manifest {receipt.manifest[:12]}")


@app.command(hidden=True)
def home() -> None:
    """Where the kit keeps its things on this machine; `download --from-cluster` asks for it."""
    from cortex.settings import Settings

    print(Settings().home.absolute())


@app.command()
def teardown(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    abandon: Annotated[bool, typer.Option("--abandon", help="Let the run go with nothing brought home.")] = False,
    typed: Annotated[
        str | None, typer.Option("--confirm", metavar="RUN", help="With --abandon: the run's id, typed out again.")
    ] = None,
) -> None:
    """Destroy a run's machines, once its release is proven to be on this disk; the bucket stays as it is."""
    from cortex.artifacts.store import Store
    from cortex.fleet.machines import SkyPilotMachines
    from cortex.fleet.teardown import abandon as let_go
    from cortex.fleet.teardown import teardown as tear_down
    from cortex.settings import Settings

    settings, machines = Settings(), SkyPilotMachines()
    store = Store.open(settings.bucket_url)
    if abandon:
        destroyed = let_go(run_id, typed if typed is not None else ask_to_abandon(run_id), store, machines)
    else:
        destroyed = tear_down(run_id, store, settings.home.absolute(), machines)
    for name in destroyed:
        print(f"{name}: destroyed")
    if not destroyed:
        print(f"nothing to destroy: SkyPilot has no job, cluster or service of run {run_id}")


def ask_to_abandon(run_id: str) -> str:
    """Have the run's id typed out; without a terminal nobody can."""
    if not sys.stdin.isatty():
        raise RefusedError(f"refusing to abandon {run_id} unasked: add `--confirm` and the run's id, typed out")
    return typer.prompt(f"What {run_id} has made since its last upload is lost with its machines. Type its id to go on")


@app.command()
def lineage(run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]) -> None:
    """What a run's release was made from, manifest by manifest."""
    from rich.console import Console

    from cortex.artifacts.store import Store
    from cortex.fleet.lineage import draw
    from cortex.fleet.lineage import lineage as walk
    from cortex.settings import Settings

    Console(highlight=False).print(draw(walk(Store.open(Settings().bucket_url), run_id)))


@app.command()
def keys(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the key pair goes.")]) -> None:
    """Make a key pair to sign releases with."""
    from cortex.artifacts.signature import make_keys

    private, public = make_keys(folder)
    print(f"{private}: keep it to yourself\n{public}: give it to those who check your releases")


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A downloaded release.")],
    key: Annotated[Path | None, typer.Option(help="The private key; without one you are asked to log in.")] = None,
) -> None:
    """Sign a release with OpenSSF model-signing: `model.sig` beside its files."""
    from cortex.artifacts.signature import sign as write_signature

    print(f"{write_signature(folder, key)}: written")


@dataset.command("build")
def dataset_build(
    data: Annotated[Path, typer.Option(help="A parquet or CSV file of daily OHLC, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="A folder that does not exist yet, or is empty.")],
    horizon_days: Annotated[int, typer.Option(help="Days from the decision to the outcome.")] = 1,
    style: Annotated[str, typer.Option(help="full or compact prompts.")] = "full",
) -> None:
    """Turn market history into examples, and write them with a manifest."""
    from cortex.dataset import build_dataset

    examples = build_dataset(data, out, horizon_days, style)
    print(f"{out}: {len(examples):,} examples")


@dataset.command("show")
def dataset_show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `dataset build` wrote.")], as_json: AsJson = False
) -> None:
    """What a dataset holds: splits, dates, base rates, and one prompt."""
    from rich.console import Console

    from cortex.dataset import describe_dataset
    from cortex.show import print_dataset

    described = describe_dataset(folder)
    if as_json:
        print(json.dumps(described, indent=1))
    else:
        print_dataset(described, Console(highlight=False))
