"""The verb that rents a machine outside of any run: for work by hand, or for a teacher."""

from typing import Annotated

import typer

from cortex.errors import ConfigError, UsageError
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

app = typer.Typer()


@app.command()
def rent(
    name: Annotated[
        str, typer.Argument(help="A file in jobs/: workbench, teacher or tinker; or the path of a similar file.")
    ],
    cloud: Cloud = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Start a machine outside of any run; those of jobs/ end by themselves when they are idle."""
    import os

    from cortex.console import Console
    from cortex.fleet.clouds.job_names import cluster_name
    from cortex.fleet.launch.jobs import SkyPilotJobs
    from cortex.fleet.launch.launch_plan import make_plan
    from cortex.fleet.tasks.bucket_keys import find_missing_keys, with_bucket_keys
    from cortex.fleet.tasks.run_tasks import find_job, resolve_job
    from cortex.settings import Settings

    settings, path = Settings(), find_job(name)
    target = require_target(cloud)
    document = resolve_job(path, settings=settings, target=target)
    if "service" in document:
        raise UsageError(f"{path} is a service, not a machine: `cortex serve RUN` starts it")
    environment = with_bucket_keys(os.environ, settings.bucket_url) if target else dict(os.environ)
    if not dry_run:
        require_terminal(yes)
        require_pushed([document])
    cluster = cluster_name(path.stem)
    plan = make_plan(cluster, [document], settings.bucket_url, environment, where=path)
    plan.print(Console())
    unset = [secret for secret, known in plan.secrets.items() if not known and secret.startswith("CORTEX_")]
    if unset and not dry_run:
        raise ConfigError(f"{path.name} needs {', '.join(unset)}: set it in this shell, then run this again")
    lacks = (
        find_missing_keys([document], settings.bucket_url, environment) if "CORTEX_BUCKET" in document["envs"] else []
    )
    if lacks and not dry_run:
        raise ConfigError("; ".join(f"{words}: {fix}" for words, fix in lacks))
    if dry_run:
        write_tasks([document], cluster, settings.work(cluster))
        return
    if not yes:
        typer.confirm(f"Start {cluster}?", abort=True)
    with print_if_interrupted(f"{cluster} may come up all the same: `.venv/bin/sky down {cluster}` ends it"):
        SkyPilotJobs().start_cluster(document, cluster, environment)
    print(f"{cluster} is up: `ssh {cluster}`; `.venv/bin/sky down {cluster}` ends it at once")
