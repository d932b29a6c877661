"""Verbs that serve a run's release in the cloud, and end that."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import ConfigError, UsageError
from cortex.verbs.gateways import gateway
from cortex.verbs.options import Run, read_path
from cortex.verbs.rent_options import (
    Cloud,
    DryRun,
    Yes,
    print_if_interrupted,
    require_pushed,
    require_target,
    require_terminal,
    write_tasks,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cortex.fleet.launch.launch_plan import Plan
    from cortex.fleet.launch.service_task import Scale
    from cortex.settings import Settings

app = typer.Typer()


@app.command()
def serve(
    run_id: Run,
    copy: Annotated[
        str | None, typer.Option(metavar="NAME", help="The released copy to serve; default: the full weights.")
    ] = None,
    replicas: Annotated[int | None, typer.Option(min=0, help="Replicas that stand even while nobody asks.")] = None,
    max_replicas: Annotated[int | None, typer.Option(min=1, help="Replicas under the highest load.")] = None,
    spot: Annotated[bool, typer.Option("--spot/--on-demand", help="Spot replicas, or on demand alone.")] = True,
    service: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The service's name; default: cortex-RUN. If it is up, it gets the release."),
    ] = None,
    job: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="FILE", help="In place of jobs/serve.yaml.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="On this machine, as `cortex gateway` does; with --copy alone.")
    ] = False,
    cloud: Cloud = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Serve a run's release behind one address, on machines that come and go with the load; or roll it onto a service
    that is up, without a lost request."""
    import os

    if local:
        return gateway(run_id, copy or "model")
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.clouds.job_names import cluster_name
    from cortex.fleet.launch import run_service
    from cortex.fleet.launch.service_task import Scale
    from cortex.fleet.launch.services import SkyPilotServices
    from cortex.fleet.tasks.bucket_keys import with_bucket_keys
    from cortex.settings import Settings

    settings, name = Settings(), _require_name(service) if service else cluster_name(run_id)
    place = require_target(cloud)
    environment = with_bucket_keys(os.environ, settings.bucket_url) if place else dict(os.environ)
    scale = Scale(replicas, max_replicas, not spot)
    document = _resolve(run_id, name, job, copy, scale, settings, environment, place)
    if not dry_run:
        require_terminal(yes)
        _require_ready(document, job, settings)
    plan = _plan(document, name, settings, environment, job)
    plan.print(Console())
    if dry_run:
        return write_tasks([document], name, settings.work(name))
    _require_keys(document, settings, environment)
    services = SkyPilotServices()
    before = services.find(name)
    run_service.require_usable(before)
    if not yes:
        typer.confirm(f"Roll run {run_id} onto {before}?" if before else f"Start {name}?", abort=True)
    store = open_store(settings.bucket_url)
    with print_if_interrupted(f"{name} may come up all the same: `cortex unserve {name}` ends it"):
        endpoint = run_service.serve(document, run_id, name, before, store, services, environment)
    print(f"{name} {'gets run ' + run_id if before else 'starts'}; `cortex unserve {name}` ends it")
    print(f"address: {_describe_address(str(endpoint), settings)}")


@app.command()
def unserve(
    name: Annotated[
        str | None, typer.Argument(metavar="[RUN|SERVICE]", help="A run, or a service; default: the only one there is.")
    ] = None,
) -> None:
    """End a service: its replicas, its load balancer and its address; releases stay."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.launch import run_service
    from cortex.fleet.launch.services import SkyPilotServices
    from cortex.settings import Settings

    services, settings = SkyPilotServices(), Settings()
    found = run_service.find_services(name, services)
    for service in found:
        print(f"ending {service}; requests in flight are cut off")
        run_service.unserve(service, open_store(settings.bucket_url), services)
        print(f"service/{service.name}: destroyed")
    if not found:
        print(f"nothing to end: SkyPilot has no service{f' of {name}' if name else ''}")


def _require_name(service: str) -> str:
    from cortex.fleet.clouds.job_names import run_label

    if run_label(service) != service:
        raise UsageError(
            f"--service {service!r}: name it with at most 55 of a-z, 0-9 and -, such as {run_label(service)}"
        )
    return service


def _require_ready(document: dict[str, Any], job: Path | None, settings: "Settings") -> None:
    """Refuse what replicas would find missing once they are rented."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.launch.run_launch import require_bucket
    from cortex.serving.api_keys import require_key

    if job is None:  # the shipped one starts gateways
        require_key(open_store(settings.bucket_url))
    require_bucket(settings.bucket_url)
    require_pushed([document])


def _resolve(
    run: str,
    service: str,
    job: Path | None,
    copy: str | None,
    scale: "Scale",
    settings: "Settings",
    environment: "Mapping[str, str]",
    place: Any,
) -> dict[str, Any]:
    """The task, once the release is there and its signer is enough, as `download` demands."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.home.download import release_of, signer_of
    from cortex.fleet.launch.service_task import resolve_service, trusting
    from cortex.fleet.tasks.run_tasks import JOBS
    from cortex.runs.context import load_run
    from cortex.verbs.releases import trust_of

    store, trust = open_store(settings.bucket_url), trust_of(settings)
    profile, release = load_run(store, run), release_of(store, run)
    trust.require(run, signer_of(store, run, trust))
    document = resolve_service(
        job or JOBS / "serve.yaml",
        run,
        profile,
        release,
        service=service,
        copy=copy,
        scale=scale,
        settings=settings,
        environment=environment,
        target=place,
    )
    return trusting(document, trust)


def _plan(
    document: dict[str, Any], name: str, settings: "Settings", environment: "Mapping[str, str]", job: Path | None
) -> "Plan":
    from cortex.fleet.launch.launch_plan import make_plan
    from cortex.fleet.launch.service_task import describe_dollars
    from cortex.fleet.tasks.run_tasks import JOBS

    plan = make_plan(name, [document], settings.bucket_url, environment, where=job or JOBS / "serve.yaml")
    (task,) = plan.tasks
    prices = [offer.dollars_per_hour for offer in task.offers]
    on_demand = [offer.dollars_per_hour for offer in task.other if task.offers[0].spot]
    expected = describe_dollars(document, (min(prices), max(prices)), max(on_demand, default=None))
    return replace(plan, expected=expected)


def _require_keys(document: dict[str, Any], settings: "Settings", environment: "Mapping[str, str]") -> None:
    from cortex.fleet.tasks.bucket_keys import find_missing_keys

    if lacks := find_missing_keys([document], settings.bucket_url, environment):
        raise ConfigError("; ".join(f"{words}: {fix}" for words, fix in lacks))


def _describe_address(endpoint: str, settings: "Settings") -> str:
    """A load balancer's address, in words: from here, or by a session to SkyPilot's server in a stack's network."""
    from urllib.parse import urlsplit

    from cortex.fleet.clouds.skypilot import has_remote_server

    url = urlsplit(endpoint)
    if not has_remote_server() or url.hostname != "localhost":
        return endpoint
    return (
        f"{endpoint}, once `aws ssm start-session --target {settings.server or '<server>'} --document-name "
        f"AWS-StartPortForwardingSession --parameters portNumber={url.port},localPortNumber={url.port}` runs here"
    )
