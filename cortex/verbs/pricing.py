"""The verb that computes when a training has paid for itself."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.benching.amounts_text import read_dollars, read_share, read_speed, read_tokens
from cortex.benching.breakeven_options import OwnOptions, TokenPrices, other_ways, own_way, read_volume
from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, parsed, read_path, write_plot

if TYPE_CHECKING:
    from cortex.benching.breakeven import BreakEven

app = typer.Typer()


def _money(text: str) -> typer.models.OptionInfo:
    return typer.Option(parser=parsed(read_dollars), metavar="DOLLARS", help=text)


def _tokens(text: str) -> typer.models.OptionInfo:
    return typer.Option(parser=parsed(read_tokens), metavar="TOKENS", help=text)


def _speed(text: str) -> typer.models.OptionInfo:
    return typer.Option(parser=parsed(read_speed), metavar="TOKENS", help=text)


@app.command()
def breakeven(
    monthly: Annotated[Decimal, _tokens("Tokens a month, in and out together: 250M.")],
    training: Annotated[Decimal | None, _money("The training's cost.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Or what this run has cost, by its ledger.")] = None,
    tokens_in: Annotated[Decimal | None, _tokens("Tokens of a question; default: as measured, or 800.")] = None,
    tokens_out: Annotated[Decimal | None, _tokens("Tokens of an answer; default: as measured, or 200.")] = None,
    api_in: Annotated[Decimal | None, _money("The API's price of a million tokens in.")] = None,
    api_out: Annotated[Decimal | None, _money("And out.")] = None,
    api_cached: Annotated[Decimal | None, _money("And of a system prompt from its cache; default: as in.")] = None,
    larger_in: Annotated[Decimal | None, _money("A larger model's price of a million tokens in.")] = None,
    larger_out: Annotated[Decimal | None, _money("And out.")] = None,
    system_prompt: Annotated[
        Decimal | None, _tokens("Tokens of the system prompt that a model needs that is not trained.")
    ] = None,
    own_in: Annotated[Decimal | None, _money("The trained model's price of a million tokens in.")] = None,
    own_out: Annotated[Decimal | None, _money("And out.")] = None,
    bench: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="FILE", help="Or its speed, from `bench serve --json`.")
    ] = None,
    hourly: Annotated[Decimal | None, _money("Its machine's price for an hour; default: that of the bench.")] = None,
    tokens_per_second: Annotated[Decimal | None, _speed("Its output tokens a second at full load.")] = None,
    prompted_tokens_per_second: Annotated[
        Decimal | None, _speed("The same with the system prompt, measured without the training.")
    ] = None,
    utilisation: Annotated[
        Decimal | None,
        typer.Option(
            parser=parsed(read_share), metavar="SHARE", help="Share of rented time at that speed; default: 0.5."
        ),
    ] = None,
    always_on: Annotated[bool, typer.Option("--always-on", help="Rent whole machines for whole months.")] = False,
    plot: Annotated[Path | None, typer.Option(parser=read_path, metavar="FILE.svg", help="Also plot it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compute when a training has paid for itself, beside an API, a long system prompt or a larger model."""
    if (training is None) == (run is None):
        raise UsageError("name the training's cost: --training DOLLARS, or --run RUN for that of a run")
    from cortex.benching.breakeven import break_even

    own = OwnOptions(
        own_in, own_out, bench, hourly, tokens_per_second, prompted_tokens_per_second, utilisation, always_on
    )
    api, larger = TokenPrices("api", api_in, api_out, api_cached), TokenPrices("larger", larger_in, larger_out)
    measured = own.measured()
    volume = read_volume(monthly, tokens_in, tokens_out, measured)
    found = break_even(
        _spent(run) if training is None else training,
        own_way(own, measured, volume),
        other_ways(own, measured, api, larger, system_prompt),
        volume,
    )
    _show(found, plot, as_json=as_json)


def _spent(run: str | None) -> Decimal:
    """Dollars of a run's machines so far."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.status.run_status import read_status
    from cortex.settings import Settings

    return Decimal(str(round(read_status(open_store(Settings().bucket_url), run or "").spent, 6)))


def _show(found: "BreakEven", plot: Path | None, *, as_json: bool) -> None:
    """Write the plot, if one is asked for, and print the comparison."""
    from cortex.benching.breakeven_report import plot_break_even, print_break_even
    from cortex.console import Console

    if plot:
        write_plot(plot, plot_break_even(found))
    if as_json:
        print(json_text(found.to_json()))
    else:
        console = Console()
        print_break_even(found, console if console.is_terminal else Console(width=max(console.width, 140)))
