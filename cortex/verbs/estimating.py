"""The verb that estimates a run's hours and dollars beforehand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Set, read_path

if TYPE_CHECKING:
    from cortex.runs.price_list import Offer

app = typer.Typer()


@app.command()
def forecast(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    traces: Annotated[
        Path | None,
        typer.Option(
            parser=read_path, metavar="DIR", help="Spot traces to replay; those in one folder are zones at one time."
        ),
    ] = None,
    sets: Set = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="HOURS", help="Hours to the deadline; default: the profile's budget.hours.")
    ] = None,
    slack: Annotated[
        float | None, typer.Option(help="Or the deadline as a multiple of the work; default: 1.5.")
    ] = None,
    work: Annotated[float | None, typer.Option(metavar="HOURS", help="Hours of work on one machine.")] = None,
    like: Annotated[str | None, typer.Option(metavar="RUN", help="Or take the work's hours from this run.")] = None,
    price_spot: Annotated[float | None, typer.Option(metavar="DOLLARS", help="A spot machine's hour.")] = None,
    price_on_demand: Annotated[float | None, typer.Option(metavar="DOLLARS", help="An on-demand machine's.")] = None,
    checkpoint: Annotated[float | None, typer.Option(metavar="MINUTES", help="Work between checkpoints.")] = None,
    boot: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="From the request for a machine to its first step.")
    ] = None,
    zones: Annotated[int, typer.Option(help="Zones that the job may move among.")] = 1,
    replays: Annotated[int, typer.Option(help="Number of simulated runs.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the replays' starts.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="FILE.svg", help="Also plot costs and times.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate a run's hours and dollars on spot machines, on-demand ones, or both; nothing is started."""
    if deadline is not None and slack is not None:
        raise UsageError("--deadline and --slack both say when the job must end: give one")
    if work is not None and like is not None:
        raise UsageError("--work and --like both say how long the work takes: give one")

    from cortex.artifacts.open_store import open_store
    from cortex.console import Console
    from cortex.fleet import estimate as forecasts
    from cortex.fleet.estimate.estimate_table import print_forecast
    from cortex.fleet.estimate.run_estimate import GENERATED
    from cortex.fleet.estimate.traces import read_traces
    from cortex.profiles.profile_file import load_profile
    from cortex.settings import Settings

    found = load_profile(profile, sets=sets)
    if work is not None:
        estimate = forecasts.estimate_from_hours(found, work)
    elif like is not None:
        estimate = forecasts.estimate_from_run(found, open_store(Settings().bucket_url), like)
    else:
        estimate = forecasts.estimate_profile(found)
    groups = read_traces(traces) if traces else None
    offers: tuple[Offer, ...] = ()
    if price_spot is None or price_on_demand is None:
        from cortex.fleet.estimate.training_prices import training_offers

        offers = training_offers(found)
    result = forecasts.forecast(
        found,
        offers,
        estimate=estimate,
        traces=groups,
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
    if plot:
        from cortex.fleet.estimate.estimate_plot import plot as draw

        try:
            plot.write_text(draw(result), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{plot} cannot be written: {error.strerror}") from error
    if as_json:
        print(json_text(result.to_json()))
    else:
        print_forecast(result, Console())
        if plot:
            print(f"{plot}: written")
