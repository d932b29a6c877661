"""Verbs that show a run's result to others: a release on a model hub, and a whitepaper."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cortex.errors import RefusedError, UsageError
from cortex.verbs.options import Run, read_path
from cortex.verbs.releases import SignedBy, trust_of

if TYPE_CHECKING:
    from cortex.artifacts.manifest import Manifest
    from cortex.artifacts.store import Store
    from cortex.settings import Settings

app = typer.Typer()


@app.command()
def publish(
    run_id: Run,
    to: Annotated[str, typer.Option("--to", metavar="OWNER/NAME", help="The repository on the hub.")],
    visibility: Annotated[
        Literal["private", "gated", "public"],
        typer.Option(help="`gated`: everybody sees it, and you let in who may download it."),
    ] = "private",
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="NAME", help="The licence of the base, which you have read, if no hub states it."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what the repository holds; its history keeps that.")
    ] = False,
    read_back: Annotated[
        bool, typer.Option("--read-back", help="Download every byte again, and do not rely on the hub's hashes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop after the plan.")] = False,
    key: SignedBy = None,
) -> None:
    """Publish a downloaded release on a model hub; if interrupted, the same command continues."""
    import os

    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.publish.hub_client import connect
    from cortex.fleet.publish.hub_sending import publish_release
    from cortex.fleet.publish.publication import Order, plan_publication
    from cortex.fleet.publish.published_event import record_publication
    from cortex.settings import Settings

    if not (yes or dry_run or sys.stdin.isatty()):
        raise RefusedError("refusing to publish unasked, and there is no terminal to ask at: add --yes")
    settings, console = Settings(), Console()
    store, api = open_store(settings.bucket_url), connect(os.environ)
    folder, manifest = _verified_release(run_id, store, settings, key)
    plan = plan_publication(api, folder, manifest, Order(to, visibility, licence, replace))
    for subject, words in plan.facts().items():
        console.print(f"{subject:>12}  {words}", soft_wrap=True, markup=False)
    if dry_run:
        print("nothing was sent")
        return
    if not yes:
        typer.confirm(f"Publish the release of run {run_id}?", abort=True)
    commit = publish_release(
        api, plan, read_back=read_back, report=lambda line: console.print(line, soft_wrap=True, markup=False)
    )
    record_publication(store, run_id, plan, commit, read_back=read_back)
    print(f"{plan.address}: published, {visibility}, at commit {commit[:12]}; manifest {manifest.digest[:12]}")


def _verified_release(run: str, store: "Store", settings: "Settings", key: Path | None) -> "tuple[Path, Manifest]":
    """The folder of a run's downloaded release, hashed again, and signed by whom the settings ask for."""
    from cortex.artifacts.receipt import Receipt
    from cortex.artifacts.trust import read_signature
    from cortex.fleet.home.download import release_of

    manifest = release_of(store, run)
    receipt = Receipt.read(settings.home.absolute(), run)
    if receipt is None:
        raise UsageError(f"the release of run {run} is not on this disk: cortex download {run}")
    receipt.check(manifest)
    trust = trust_of(settings, key)
    trust.require(run, trust.signer(manifest, read_signature(receipt.path)))
    return receipt.path, manifest


@app.command()
def whitepaper(
    run_id: Run,
    to: Annotated[
        Path | None, typer.Option("--to", parser=read_path, metavar="PATH", help="A file. Default: print it.")
    ] = None,
) -> None:
    """Write a page on a finished run from its own record: method, data, training, verdict, cost, limits, lineage."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.publish.paper_record import read_record
    from cortex.fleet.publish.whitepaper import whitepaper as write
    from cortex.settings import Settings

    text = write(read_record(open_store(Settings().bucket_url), run_id))
    if to is None:
        print(text, end="")
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{to} cannot be written: {error.strerror}") from error
    print(f"{to}: written")
