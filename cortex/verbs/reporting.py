"""Verb for the page of a run, and for the comparison of several."""

from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import UsageError
from cortex.verbs.options import read_path

app = typer.Typer()


@app.command()
def report(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN...", help="One run; or several, to compare.")],
    out: Annotated[
        Path | None,
        typer.Option(parser=read_path, metavar="PATH", help="The page's file; default: below reports/ of CORTEX_HOME."),
    ] = None,
) -> None:
    """Write the page of a run, or of several compared: one file that needs no network. Prints its path."""
    from cortex.artifacts.open_store import open_store
    from cortex.report.report_file import write_comparison, write_run
    from cortex.settings import Settings

    settings = Settings()
    store = open_store(settings.bucket_url)
    twice = next((run for run in run_ids if run_ids.count(run) > 1), None)
    if twice:
        raise UsageError(f"{twice} is named twice: name each run once")
    if len(run_ids) == 1:
        print(write_run(store, run_ids[0], settings.home, out))
    else:
        print(write_comparison(store, run_ids, settings.home, out))
