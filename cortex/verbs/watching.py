"""Verbs that follow runs from any laptop with the bucket: their status, logs, curves and costs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import CortexError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Run, read_path

app = typer.Typer()


@app.command()
def status(
    run_id: Run,
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run has ended, or Ctrl-C.")] = False,
) -> None:
    """Show a run's status: stages, steps, money, machine, last sign of life."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.status.run_status import RunWatcher
    from cortex.fleet.status.status_view import follow as follow_run
    from cortex.fleet.status.status_view import print_status
    from cortex.fleet.watch.job_state import JobWatcher
    from cortex.settings import Settings

    settings, console = Settings(), Console()
    store = open_store(settings.bucket_url)
    if follow and not as_json:
        follow_run(store, run_id, console)
        return
    found = RunWatcher(store, run_id, jobs=JobWatcher(run_id, home=settings.home)).look(wait=True)
    if as_json:
        print(json_text(found.to_json()))
    else:
        print_status(found, console)


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Check once; exit 1 if a service did not answer.")] = False,
    until_done: Annotated[bool, typer.Option("--until-done", help="Stop when no run is left.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two checks.", min=1.0, max=600.0)] = 20.0,
) -> None:
    """End runs whose launches keep failing, and record machines' costs; runs where SkyPilot's server is."""
    from cortex.fleet.watch.background import only_watcher
    from cortex.fleet.watch.kit_jobs import SkyPilotKitJobs
    from cortex.fleet.watch.watcher import Watcher, watch_runs
    from cortex.settings import Settings

    watcher = Watcher(SkyPilotKitJobs())
    if once:
        watcher.look()
        if watcher.faults:
            raise CortexError("; ".join(watcher.faults))
        return
    try:
        if not watch_runs(watcher, lambda: only_watcher(Settings().home), every, until_done=until_done):
            print("a watcher is at work on this machine already")
    except KeyboardInterrupt:
        print("no longer watching: `cortex watch` goes on", file=sys.stderr)


@app.command()
def curves(
    run_id: Run,
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="PATH", help="The folder for TensorBoard's files, one per stage.")
    ],
) -> None:
    """Write the curves of a run's trainings, from its ledger, for TensorBoard."""
    from cortex.artifacts.open_store import open_store
    from cortex.runs.context import load_run
    from cortex.settings import Settings
    from cortex.tracking.redrawing import draw_run

    store = open_store(Settings().bucket_url)
    load_run(store, run_id)
    for path in draw_run(store, run_id, out):
        print(path)


@app.command()
def runs(as_json: AsJson = False) -> None:
    """List all runs of the bucket."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.status.run_table import print_runs, read_runs, runs_json
    from cortex.settings import Settings

    store = open_store(Settings().bucket_url)
    found = read_runs(store)
    if as_json:
        print(json_text(runs_json(found)))
    else:
        print_runs(found, store.url, Console())


@app.command()
def cost(run_id: Run, as_json: AsJson = False) -> None:
    """Show a run's cost, machine by machine, and its cap."""
    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet.status.run_status import read_status
    from cortex.fleet.status.run_table import cost_json, print_cost
    from cortex.settings import Settings

    found = read_status(open_store(Settings().bucket_url), run_id)
    if as_json:
        print(json_text(cost_json(found)))
    else:
        print_cost(found, Console())


@app.command()
def logs(
    run_id: Run,
    stage: Annotated[str | None, typer.Option(help="This stage's newest attempt; default: the run's newest.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run has ended, or Ctrl-C.")] = False,
) -> None:
    """Print the end of the log of a run's newest attempt, as of the last minute."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.status.run_logs import follow_logs, read_logs
    from cortex.fleet.status.run_status import RunWatcher
    from cortex.fleet.watch.job_state import JobWatcher
    from cortex.runs.context import load_run
    from cortex.runs.stage_list import find_stage
    from cortex.settings import Settings
    from cortex.text import LogFilter

    store = open_store(Settings().bucket_url)
    load_run(store, run_id)
    if stage:
        find_stage(stage)
    shown = LogFilter(colours=sys.stdout.isatty())
    try:
        if follow:
            watcher = RunWatcher(store, run_id, jobs=JobWatcher(run_id))
            for part in follow_logs(store, run_id, stage, lambda: watcher.look().over):
                print(shown.feed(part), end="", flush=True)
        else:
            print(shown.feed(read_logs(store, run_id, stage)), end="")
    except KeyboardInterrupt:
        print(f"no longer following; {run_id} goes on", file=sys.stderr)
    finally:
        print(shown.end(), end="", flush=True)
