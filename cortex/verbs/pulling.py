"""`cortex data`: what a profile's source gives, without a run."""

from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.data_image import lacks_clients, run_in_data_image, set_options
from cortex.verbs.options import AsJson, Set

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
    if lacks_clients(resolved.domain):
        words = ["data", "pull", profile, *set_options(sets), *["--fresh"] * fresh, *["--json"] * as_json]
        raise typer.Exit(run_in_data_image(words, settings))
    with progress_bar(Console(stderr=True)) as on_progress:
        reports = resolved.domain.pull(resolved.seed, settings, on_progress, fresh=fresh)
    if as_json:
        print(json_text([report.to_json() for report in reports]))
        return
    for report in reports:
        print(*report.lines(), sep="\n", flush=True)
    if not reports:
        print(f"profile {resolved.name} makes its examples itself: there is nothing to pull")
