"""`cortex data`: what a profile's source gives, without a run."""

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.text import json_text
from cortex.verbs.options import AsJson, Set

if TYPE_CHECKING:
    from cortex.settings import Settings

app = typer.Typer(help="Pull a profile's data, without a run.", no_args_is_help=True)


@app.command("pull")
def data_pull(
    profile: Annotated[str, typer.Argument(help="A name in jobs/profiles/, or a path.")],
    sets: Set = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask anew for what is kept, and count the rows that were revised.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pull the data that a run would learn from; say rows, span, gaps and cost, and what cannot be had.

    Answers are kept for the run. Clients that this program's environment lacks are those of the data image's.
    """
    from cortex.console import Console
    from cortex.domains.build_progress import progress_bar
    from cortex.profiles.profile_file import load_profile
    from cortex.settings import Settings

    settings, resolved = Settings(), load_profile(profile, sets=sets or ())
    lacking = [name for name in resolved.domain.clients() if importlib.util.find_spec(name) is None]
    if lacking:
        raise typer.Exit(_pull_there(profile, sets or [], fresh, as_json, settings))
    with progress_bar(Console(stderr=True)) as on_progress:
        reports = resolved.domain.pull(resolved.seed, settings, on_progress, fresh=fresh)
    if as_json:
        print(json_text([report.to_json() for report in reports]))
        return
    for report in reports:
        print(*report.lines(), sep="\n", flush=True)
    if not reports:
        print(f"profile {resolved.name} makes its examples itself: there is nothing to pull")


def _pull_there(profile: str, sets: list[str], fresh: bool, as_json: bool, settings: "Settings") -> int:
    """Run the same verb in the data image's environment, and return its exit code."""
    import os
    import subprocess

    from cortex.local.environments import environment, on_path

    folder = environment("data", settings)
    words = ["data", "pull", profile, *(word for one in sets for word in ("--set", one))]
    words += ["--fresh"] * fresh + ["--json"] * as_json
    variables = {**os.environ, **on_path(folder), "CORTEX_HOME": str(settings.home.absolute())}
    return subprocess.run([folder / "bin" / "python", "-m", "cortex", *words], env=variables, check=False).returncode
