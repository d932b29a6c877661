"""The verb that estimates a run's hours and dollars beforehand."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Set, read_path, write_plot

if TYPE_CHECKING:
    from cortex.fleet.estimate import RunEstimate, WorkEstimate
    from cortex.profiles.profile import Profile
    from cortex.runs.price_list import Offer

app = typer.Typer()

Traces = Annotated[
    Path | None,
    typer.Option(
        parser=read_path, metavar="DIR", help="Spot traces to replay; those in one folder are zones at one time."
    ),
]
Deadline = Annotated[
    float | None, typer.Option(metavar="HOURS", help="Hours to the deadline; default: the profile's budget.hours.")
]
Slack = Annotated[float | None, typer.Option(help="Or the deadline as a multiple of the work; default: 1.5.")]
Boot = Annotated[
    float | None, typer.Option(metavar="MINUTES", help="From the request for a machine to its first step.")
]
Plot = Annotated[Path | None, typer.Option(parser=read_path, metavar="FILE.svg", help="Also plot costs and times.")]

FORMER_NAME = "forecast"
"""The verb's name in earlier releases, which still works."""


@app.command()
def estimate(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    traces: Traces = None,
    sets: Set = None,
    deadline: Deadline = None,
    slack: Slack = None,
    work: Annotated[float | None, typer.Option(metavar="HOURS", help="Hours of work on one machine.")] = None,
    like: Annotated[str | None, typer.Option(metavar="RUN", help="Or take the work's hours from this run.")] = None,
    price_spot: Annotated[float | None, typer.Option(metavar="DOLLARS", help="A spot machine's hour.")] = None,
    price_on_demand: Annotated[float | None, typer.Option(metavar="DOLLARS", help="An on-demand machine's.")] = None,
    checkpoint: Annotated[float | None, typer.Option(metavar="MINUTES", help="Work between checkpoints.")] = None,
    boot: Boot = None,
    zones: Annotated[int, typer.Option(help="Zones that the job may move among.")] = 1,
    replays: Annotated[int, typer.Option(help="Number of simulated runs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the replays' starts.")] = 0,
    plot: Plot = None,
    as_json: AsJson = False,
) -> None:
    """Estimate a run's hours and dollars on spot machines, on-demand ones, or both; nothing is started."""
    if context.info_name == FORMER_NAME:
        print(
            "note: `cortex forecast` is now `cortex estimate`; the next release knows that name alone", file=sys.stderr
        )
    if deadline is not None and slack is not None:
        raise UsageError("--deadline and --slack both say when the job must end: give one")
    if work is not None and like is not None:
        raise UsageError("--work and --like both say how long the work takes: give one")

    from cortex.fleet.estimate import estimate_run
    from cortex.fleet.estimate.run_estimate import GENERATED
    from cortex.fleet.estimate.traces import read_traces
    from cortex.profiles.profile_file import load_profile

    found = load_profile(profile, sets=sets)
    result = estimate_run(
        found,
        _offers(found) if price_spot is None or price_on_demand is None else (),
        estimate=_estimate_work(found, work, like),
        traces=read_traces(traces) if traces else None,
        source=str(traces) if traces else GENERATED,
        deadline_hours=deadline,
        slack=slack,
        spot=price_spot,
        on_demand=price_on_demand,
        checkpoint=None if checkpoint is None else checkpoint * 60,
        restart=None if boot is None else boot * 60,
        zones=zones,
        replays=replays,
        seed=seed,
    )
    _show(result, plot, as_json=as_json)


app.command(FORMER_NAME, hidden=True)(estimate)


def _estimate_work(profile: "Profile", hours: float | None, like: str | None) -> "WorkEstimate":
    """The work's duration: as given in hours, or as measured in the run `like`, or else from the profile."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.estimate import estimate_from_hours, estimate_from_run, estimate_profile
    from cortex.settings import Settings

    if hours is not None:
        return estimate_from_hours(profile, hours)
    if like is not None:
        return estimate_from_run(profile, open_store(Settings().bucket_url), like)
    return estimate_profile(profile)


def _offers(profile: "Profile") -> "tuple[Offer, ...]":
    from cortex.fleet.estimate.training_prices import training_offers

    return training_offers(profile)


def _show(result: "RunEstimate", plot: Path | None, *, as_json: bool) -> None:
    """Write the plot, if one is asked for, and print the estimate."""
    from cortex.console import Console
    from cortex.fleet.estimate.estimate_table import print_estimate

    if plot:
        from cortex.fleet.estimate.estimate_plot import plot as draw

        write_plot(plot, draw(result))
    if as_json:
        print(json_text(result.to_json()))
        return
    print_estimate(result, Console())
    if plot:
        print(f"{plot}: written")
