"""The verb that computes, before a launch, the memory, time and cost of a run's phases."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Set, read_path

app = typer.Typer()


@app.command()
def plan(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    pipeline: Annotated[
        Path | None, typer.Option("--pipeline", parser=read_path, metavar="PATH", help="In place of sky.yaml.")
    ] = None,
    sets: Set = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Install the environment in which steps are traced, if it is missing.")
    ] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Do not trace: use closed formulas alone.")] = False,
    providers: Annotated[
        Path | None,
        typer.Option(
            "--providers",
            parser=read_path,
            metavar="FILE",
            help="Instead, a Markdown table of hours and dollars at each provider of this YAML list of prices.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute memory, time and dollars of every phase of a run: exits 78 and names the key to change if one does not
    fit."""
    if trace and closed:
        raise UsageError("--trace and --closed contradict each other: give one")

    from cortex.console import Console
    from cortex.fleet.capacity.capacity_plan import plan_capacity
    from cortex.fleet.capacity.plan_table import capacity_json, print_capacity
    from cortex.fleet.capacity.stage_prices import PriceReader
    from cortex.fleet.tasks.run_tasks import resolve
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    resolved, settings = load_profile(profile, sets=sets), Settings()
    if providers:
        from cortex.fleet.capacity.provider_costs import cost_table, provider_costs, read_offers

        print(cost_table(provider_costs(resolved, read_offers(providers), settings)), end="")
        return
    documents = resolve(resolved, "plan", pipeline=pipeline or SKY_YAML, settings=settings)

    def on_start(words: str) -> None:
        print(f"{words} ...", file=sys.stderr, flush=True)

    reading = PriceReader(resolved, documents)  # takes seconds, so it runs while steps are traced
    tracing = "never" if closed else "made" if trace else "here"
    computed = plan_capacity(resolved, settings, documents=documents, tracing=tracing, on_start=on_start)
    computed = replace(computed, prices=reading.prices())
    if as_json:
        print(json_text(capacity_json(computed)))
    else:
        console = Console()
        # Output to a program or a file is not cut to a terminal's 80 columns.
        print_capacity(computed, console if console.is_terminal else Console(width=max(console.width, 120)))
    computed.require_fit()
