"""Verbs for a run's results: show them, download and verify a release, and tear the machines down."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import RefusedError, UsageError, VerificationError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Run, read_path

if TYPE_CHECKING:
    from cortex.artifacts.receipt import Receipt
    from cortex.artifacts.store import Store
    from cortex.artifacts.trust import Trust
    from cortex.console import Console
    from cortex.settings import Settings

app = typer.Typer()

SignedBy = Annotated[
    Path | None,
    typer.Option("--key", parser=read_path, metavar="PATH", help="Refuse a release that this public key did not sign."),
]


@app.command()
def show(run_id: Run, as_json: AsJson = False) -> None:
    """Show a run's stages, scores and verdict."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.runs.show import describe_run, print_run
    from cortex.settings import Settings

    settings = Settings()
    store = open_store(settings.bucket_url)
    described = describe_run(store, run_id)
    if described["release"]:
        from cortex.fleet.home.download import signer_of

        trust = trust_of(settings)
        signer = signer_of(store, run_id, trust)
        described |= {"signed": str(signer), "signer_known": signer.known}
        trust.require(run_id, signer)
    if as_json:
        print(json_text(described))
        return
    print_run(described, Console())
    _show_page(run_id, store, settings)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(parser=read_path, metavar="PATH", help="An artifact's folder.")],
    key: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="Check the signature, too, with this public key."),
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="Check that this e-mail address or workflow signed it without a key.")
    ] = None,
    identity_provider: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The identity's provider, such as https://accounts.google.com."),
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
        str | None,
        typer.Option(metavar="NAME", help="Copy from a live machine, by its name for ssh, not from the bucket."),
    ] = None,
    remote_home: Annotated[
        str | None, typer.Option(metavar="DIR", help="CORTEX_HOME there, if it cannot be found.")
    ] = None,
    copies: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of the weights these folders alone, such as model,gguf-q4_k_m."),
    ] = None,
    key: SignedBy = None,
) -> None:
    """Download a run's release to this disk, and verify it; if interrupted, the same command continues."""
    if copies is not None:
        if from_cluster:
            raise UsageError("--copies chooses from the bucket's release, and --from-cluster copies a whole one")
        return _download_copies(run_id, [name.strip() for name in copies.split(",")], to, key)
    from cortex.artifacts.manifest import Manifest
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.signing_keys import PRIVATE_KEY
    from cortex.artifacts.trust import read_signature
    from cortex.console import Console
    from cortex.fleet.home.download import download as bring
    from cortex.fleet.home.download import release_of, sign_release
    from cortex.fleet.home.egress import egress_line
    from cortex.fleet.home.progress import transfer_bar
    from cortex.settings import Settings

    settings, console = Settings(), Console(stderr=True)
    home, trust = settings.home.absolute(), trust_of(settings, key)
    if from_cluster:
        receipt = _copy_from_cluster(run_id, from_cluster, remote_home, to, settings, console)
    elif remote_home:
        raise UsageError("--remote-home says where things are on an instance: name that one with --from-cluster")
    else:
        store = open_store(settings.bucket_url)
        size = release_of(store, run_id).size
        if line := egress_line(store.url, size):
            console.print(line, soft_wrap=True)
        with transfer_bar(console, run_id, size) as advance:
            receipt = bring(run_id, store, home, to, trust=trust, advance=advance)
        own = settings.keys / PRIVATE_KEY
        if own.exists() and read_signature(receipt.path) is None:
            sign_release(run_id, store, receipt.path, own)
    signer = trust.signer(Manifest.read(receipt.path), read_signature(receipt.path))
    print(
        f"{receipt.path}: {receipt.files} files, {receipt.size:,} bytes, verified; manifest {receipt.manifest[:12]}; "
        f"{signer}"
    )
    trust.require(run_id, signer)


def _copy_from_cluster(
    run: str, cluster: str, remote_home: str | None, to: Path | None, settings: "Settings", console: "Console"
) -> "Receipt":
    from cortex.fleet.home.box import Box
    from cortex.fleet.home.over_ssh import bring, find_release
    from cortex.fleet.home.progress import transfer_bar

    with Box(cluster, settings.ssh_config) as box:
        release = find_release(box, run, remote_home)
        with transfer_bar(console, f"{run} from {cluster}", release.manifest.size) as advance:
            return bring(release, settings.home.absolute(), to, advance=advance)


def _download_copies(run: str, copies: list[str], to: Path | None, key: Path | None) -> None:
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.partial import entries_without
    from cortex.artifacts.trust import read_signature
    from cortex.console import Console
    from cortex.fleet.home.download import release_folder, release_of
    from cortex.fleet.home.egress import egress_line
    from cortex.fleet.home.partial_download import download_copies, folders_to_leave
    from cortex.fleet.home.progress import transfer_bar
    from cortex.settings import Settings

    settings, console = Settings(), Console(stderr=True)
    home, trust, store = settings.home.absolute(), trust_of(settings, key), open_store(settings.bucket_url)
    manifest, target = release_of(store, run), release_folder(home, run, to)
    left_out = folders_to_leave(manifest, copies, target)
    wanted = entries_without(manifest, left_out)
    size = sum(entry.size for entry in wanted)
    if line := egress_line(store.url, size):
        console.print(line, soft_wrap=True)
    with transfer_bar(console, run, size) as advance:
        download_copies(run, store, home, copies, to, trust=trust, advance=advance)
    signer = trust.signer(manifest, read_signature(target))
    print(f"{target}: {len(wanted)} files, {size:,} bytes, verified; manifest {manifest.digest[:12]}; {signer}")
    print(f"left out: {', '.join(sorted(left_out)) or 'nothing'}; no receipt, which `cortex download {run}` writes")


@app.command(hidden=True)
def home() -> None:
    """Print CORTEX_HOME of this machine; `download --from-cluster` calls this on the live machine."""
    from cortex.settings import Settings

    print(Settings().home.absolute())


@app.command()
def teardown(
    run_id: Run,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Destroy the machines without a downloaded release.")
    ] = False,
    typed: Annotated[
        str | None, typer.Option("--confirm", metavar="RUN", help="With --abandon: the run's id, typed out again.")
    ] = None,
    key: SignedBy = None,
) -> None:
    """Destroy a run's machines, once its release is verified on this disk; the bucket stays as it is."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.clouds.run_machines import SkyPilotMachines
    from cortex.fleet.home.download import signer_of
    from cortex.fleet.home.teardown import abandon as let_go
    from cortex.fleet.home.teardown import teardown as tear_down
    from cortex.fleet.launch.run_role import RunRole
    from cortex.settings import Settings

    settings, machines = Settings(), SkyPilotMachines()
    store = open_store(settings.bucket_url)
    if abandon:
        destroyed = let_go(run_id, typed if typed is not None else ask_to_abandon(run_id), store, machines)
    else:
        trust = trust_of(settings, key)
        destroyed = tear_down(run_id, store, settings.home.absolute(), machines, trust)
        print(f"the release of run {run_id} is {signer_of(store, run_id, trust)}")
    for name in destroyed:
        print(f"{name}: destroyed")
    if not destroyed:
        print(f"nothing to destroy: SkyPilot has no job, cluster or service of run {run_id}")
    role = RunRole.of(run_id, settings)
    if role:
        role.remove()  # last, since machines use the role until they are gone


def ask_to_abandon(run_id: str) -> str:
    """Have the user type the run's id; refuse without a terminal."""
    if not sys.stdin.isatty():
        raise RefusedError(f"refusing to abandon {run_id} unasked: add `--confirm` and the run's id, typed out")
    return typer.prompt(f"What {run_id} has made since its last upload is lost with its machines. Type its id to go on")


@app.command()
def lineage(run_id: Run) -> None:
    """Show the artifacts that a run's release was made from, manifest by manifest."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.home.lineage import draw
    from cortex.fleet.home.lineage import lineage as walk
    from cortex.settings import Settings

    Console().print(draw(walk(open_store(Settings().bucket_url), run_id)))


def _show_page(run_id: str, store: "Store", settings: "Settings") -> None:
    """Write the run's page and open it where people look on; elsewhere name the page if it was written."""
    from cortex.report.report_place import open_page, report_path

    if sys.stdout.isatty():
        from cortex.report.report_file import write_run

        path = write_run(store, run_id, settings.home)
        print(f"report: {path}{'' if open_page(path) else ' (there is no browser here)'}")
    elif (path := report_path(settings.home, run_id)).exists():
        print(f"report: {path}")
    else:
        print(f"report: `cortex report {run_id}` writes it")


def trust_of(settings: "Settings", key: Path | None = None) -> "Trust":
    """The trusted keys: the named key alone, whose signature is then required; or those of the settings."""
    from cortex.artifacts.trust import Trust, trusted_keys

    if key:
        return Trust((key,), required=True)
    return Trust(trusted_keys(settings.trusted_keys or settings.keys), settings.trust == "signed")
