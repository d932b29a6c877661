"""Options of the verbs that rent machines, and the steps that these verbs share."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import ConfigError, RefusedError
from cortex.verbs.options import INTERRUPTED

if TYPE_CHECKING:
    from cortex.fleet.clouds.abilities import Target

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Stop after the plan, and write the tasks that would be submitted.")
]
Cloud = Annotated[
    str | None,
    typer.Option(
        metavar="CLOUD[/PLACE]", help="Rent only there: vast, runpod, lambda, gcp/us-central1, ssh/<pool>, ..."
    ),
]


def require_target(cloud: str | None) -> "Target | None":
    """Read `--cloud`, and check first of all that SkyPilot has the packages for that cloud here."""
    if cloud is None:
        return None
    from cortex.fleet.clouds.abilities import Target
    from cortex.fleet.clouds.access import require_pool
    from cortex.fleet.clouds.packages import install_command, missing_packages
    from cortex.fleet.clouds.skypilot import has_remote_server

    target = Target.read(cloud)
    # A remote server has its own packages: preflight checks those.
    lacks = [] if has_remote_server() else missing_packages(target.cloud)
    if lacks:
        raise ConfigError(
            f"SkyPilot lacks packages for {target.cloud} here ({', '.join(lacks)}): {install_command(target.cloud)}"
        )
    require_pool(target)
    return target


def require_terminal(yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise RefusedError("refusing to rent machines unasked, and there is no terminal to ask at: add --yes (YES=1)")


def require_pushed(documents: list[dict[str, Any]]) -> None:
    """Refuse to start machines whose image was never pushed."""
    from cortex.fleet.tasks.run_tasks import unpushed_images

    missing = unpushed_images(documents)
    if missing:
        raise ConfigError(
            f"images/digests.json names no pushed image for {', '.join(missing)}: `make images && make push` builds "
            "and pushes them, and writes it"
        )


def write_tasks(documents: list[dict[str, Any]], name: str, folder: Path) -> None:
    from cortex.fleet.tasks.run_tasks import dump

    path = folder.absolute() / "launch.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump(documents, name), encoding="utf-8")
    print(f"nothing was launched; what would be submitted is in {path}")


@contextmanager
def print_if_interrupted(what: str) -> Generator[None]:
    """On Ctrl-C, print what may still happen and leave: the request to SkyPilot is not cancelled by it."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        print(f"interrupted; {what}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption
