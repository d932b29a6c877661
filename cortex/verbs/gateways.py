"""Verbs of serving on this machine: the gateway itself, and its API keys."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, read_path
from cortex.verbs.releases import SignedBy, trust_of

if TYPE_CHECKING:
    from cortex.artifacts.store import Store
    from cortex.serving.feedback.feedback_keeper import FeedbackKeeper
    from cortex.serving.service import Service
    from cortex.serving.serving_settings import ServingSettings
    from cortex.settings import Settings

app = typer.Typer()
keys_app = typer.Typer(help="API keys of gateways: add, list and revoke.", no_args_is_help=True)


@app.command()
def gateway(
    target: Annotated[
        str | None, typer.Argument(metavar="[RUN|DIR]", help="A run, or the folder of a downloaded release.")
    ] = None,
    copy: Annotated[str, typer.Option(help="The copy of the weights: a folder of the release.")] = "model",
    routes: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="FILE", help="Several models, and the rules by which one answers."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Answer whoever asks, also from other machines.")
    ] = False,
    key: SignedBy = None,
) -> None:
    """Serve a release on this machine, or the models of a routes file, with an endpoint for each domain."""
    from cortex.artifacts.open_store import open_store
    from cortex.serving.api_keys import read_keys, require_key
    from cortex.serving.gateway_server import is_local, serve
    from cortex.settings import Settings

    if (target is None) == (routes is None) or (routes is not None and copy != "model"):
        raise UsageError("name a run or a folder, with --copy if need be; or --routes FILE alone")
    store = open_store(Settings().bucket_url)
    asks = not without_keys and (not is_local(host) or bool(read_keys(store)))
    if asks:
        require_key(store)
    keys = store if asks else None
    made = _service_of_routes(routes, keys, key) if routes else _service_of_release(str(target), copy, keys, key)
    serve(made, host=host, port=port)


def _service_of_release(target: str, copy: str, keys: "Store | None", key: Path | None) -> "Service":
    from cortex.serving.gateway_server import make_service
    from cortex.serving.local_engines import serve_here
    from cortex.serving.served_release import open_release
    from cortex.serving.serving_settings import ServingSettings
    from cortex.settings import Settings

    settings, serving = Settings(), ServingSettings()
    release = open_release(_find_release(target, copy, key=key), trust_of(settings, key), settings, copy)
    model = serve_here(release, settings, serving, gpus=_count_gpus())
    return make_service([model], keys, serving, feedback=_open_feedback(settings, serving))


def _service_of_routes(path: Path, keys: "Store | None", key: Path | None) -> "Service":
    from functools import partial

    from cortex.artifacts.open_store import open_store
    from cortex.serving.gateway_server import make_service
    from cortex.serving.routed_models import open_models, open_upstreams
    from cortex.serving.routes_file import read_routes
    from cortex.serving.serving_settings import ServingSettings
    from cortex.settings import Settings

    settings, serving, routes = Settings(), ServingSettings(), read_routes(path)
    upstreams = open_upstreams(routes, os.environ, serving)
    find = partial(_find_release, key=key)
    store = open_store(settings.bucket_url)
    models = open_models(routes, find, store, trust_of(settings, key), settings, serving, gpus=_count_gpus())
    return make_service(models, keys, serving, upstreams, routes.domains, _open_feedback(settings, serving))


def _open_feedback(settings: "Settings", serving: "ServingSettings") -> "FeedbackKeeper | None":
    from cortex.artifacts.open_store import open_store
    from cortex.serving.feedback.feedback_keeper import open_keeper

    # Without a bucket of its own, a gateway's folder of feedback is all: the default bucket is in the same home.
    return open_keeper(settings.home, open_store(settings.bucket) if settings.bucket else None, serving)


def _find_release(target: str, copy: str, *, key: Path | None) -> Path:
    """The folder of a release; where a run is named, all of it but other copies of the weights is downloaded."""
    folder = read_path(target)
    return folder if folder.is_dir() else _download(target, copy, key)


def _download(run: str, copy: str, key: Path | None) -> Path:
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.home.partial_download import download_copies
    from cortex.settings import Settings

    settings = Settings()
    store, home = open_store(settings.bucket_url), settings.home.absolute()
    return download_copies(run, store, home, (copy,), trust=trust_of(settings, key))


def _count_gpus() -> int:
    """GPUs that the driver lists."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="The holder's name.")],
    scopes: Annotated[str, typer.Option(help="What it is for: domains, chat, metrics, feedback.")] = "domains,chat",
    per_minute: Annotated[int, typer.Option(min=1, help="Most requests a minute.")] = 600,
) -> None:
    """Make an API key, and print it, once: the bucket holds its hash alone."""
    from cortex.artifacts.open_store import open_store
    from cortex.serving.api_keys import make_key, read_scopes, write_key
    from cortex.settings import Settings

    text, made = make_key(name, read_scopes(scopes), per_minute, datetime.now(UTC))
    write_key(open_store(Settings().bucket_url), made)
    print(text)


@keys_app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the API keys of this bucket."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.serving.api_keys import read_keys
    from cortex.settings import Settings

    known = sorted(read_keys(open_store(Settings().bucket_url)).values(), key=lambda made: made.created)
    if as_json:
        print(json_text([made.model_dump(mode="json", exclude={"sha256"}) for made in known]))
        return
    for made in known:
        state = f"revoked {made.revoked:%Y-%m-%d}" if made.revoked else f"{made.per_minute} a minute"
        Console().print(f"{made.id}  {made.name}  {','.join(made.scopes)}  {state}", soft_wrap=True)


@keys_app.command("revoke")
def revoke(number: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]) -> None:
    """Make an API key useless, for good. Gateways notice within seconds."""
    from cortex.artifacts.open_store import open_store
    from cortex.serving.api_keys import revoke_key
    from cortex.settings import Settings

    revoked = revoke_key(open_store(Settings().bucket_url), number, datetime.now(UTC))
    print(f"{revoked.id} ({revoked.name}): revoked")
