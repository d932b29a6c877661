"""Verbs for what a run has made: looking at it, bringing it home, proving it, letting its machines go."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import RefusedError, UsageError, VerificationError
from cortex.verbs.words import AsJson, Run, read_path

app = typer.Typer()


@app.command()
def show(run_id: Run, as_json: AsJson = False) -> None:
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
    path: Annotated[Path, typer.Argument(parser=read_path, metavar="PATH", help="An artifact's folder.")],
    key: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="Check the signature, too, with this public key."),
    ] = None,
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
    if key:
        from cortex.artifacts.signing_keys import check_public_key

        check_public_key(key)  # before a release of many gigabytes is read
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
    run_id: Run,
    to: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="A folder; default: releases/RUN under CORTEX_HOME."),
    ] = None,
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
    run_id: Run,
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
def lineage(run_id: Run) -> None:
    """What a run's release was made from, manifest by manifest."""
    from rich.console import Console

    from cortex.artifacts.store import Store
    from cortex.fleet.lineage import draw
    from cortex.fleet.lineage import lineage as walk
    from cortex.settings import Settings

    Console(highlight=False).print(draw(walk(Store.open(Settings().bucket_url), run_id)))


@app.command()
def keys(
    folder: Annotated[Path, typer.Argument(parser=read_path, metavar="DIR", help="Where the key pair goes.")],
) -> None:
    """Make a key pair to sign releases with."""
    from cortex.artifacts.signing_keys import make_keys

    private, public = make_keys(folder)
    print(f"{private}: keep it to yourself\n{public}: give it to those who check your releases")


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(parser=read_path, metavar="DIR", help="A downloaded release.")],
    key: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="The private key; without one you are asked to log in."),
    ] = None,
) -> None:
    """Sign a release with OpenSSF model-signing: `model.sig` beside its files."""
    from cortex.artifacts.signature import sign as write_signature

    print(f"{write_signature(folder, key)}: written")
