"""`cortex bench`: load on an endpoint that serves a model."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.benching.amounts_text import read_dollars
from cortex.benching.load_levels import Levels, read_concurrencies, read_rates
from cortex.benching.slo import Objective, read_objective
from cortex.errors import StageError, UsageError
from cortex.text import json_text
from cortex.verbs.options import INTERRUPTED, AsJson, parsed, read_path, require_folder, write_plot

if TYPE_CHECKING:
    from cortex.benching.bench_sweep import Measured
    from cortex.domains.domain import Conversation

app = typer.Typer(help="Measure a server under load.", no_args_is_help=True)

Concurrency = Annotated[
    Levels | None,
    typer.Option(parser=parsed(read_concurrencies), metavar="1,2,4", help="Requests at a time; default: 1,2,4,8,16."),
]
Rate = Annotated[
    Levels | None,
    typer.Option(parser=parsed(read_rates), metavar="0.5,1,2", help="Or arrivals a second, at random times."),
]
Slo = Annotated[
    Objective | None,
    typer.Option(parser=parsed(read_objective), metavar="ttft=500ms,itl=50ms", help="Count requests within it."),
]
Price = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed(read_dollars),
        metavar="DOLLARS",
        help="A server's price for an hour. Once for all endpoints, or once for each in their order.",
    ),
]
Instance = Annotated[
    list[str] | None,
    typer.Option(metavar="CLOUD/TYPE", help="Or its machine, as aws/g6.xlarge, at the catalog's price."),
]


@app.callback()
def bench() -> None:
    """Measure a server under load."""


@app.command()
def serve(
    url: Annotated[str, typer.Argument(metavar="URL", help="The endpoint, up to /v1. MODEL@URL names a model.")],
    against: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Another endpoint, measured in turns. May be repeated.")
    ] = None,
    concurrency: Concurrency = None,
    rate: Rate = None,
    requests: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Requests of each level.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=1000, help="Turns of each endpoint at each level.")] = None,
    dataset: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="DIR", help="Prompts of a folder from `dataset build`.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Or of a profile's own domain, built for the bench.")] = None,
    split: Annotated[str, typer.Option(help="Split of the prompts.")] = "test",
    tokens_in: Annotated[int, typer.Option(min=1, max=10_000_000, help="Or words of about so many tokens.")] = 256,
    tokens_out: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Most tokens of an answer; default: the profile's, or 64.")
    ] = None,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Ask for exactly so many; vLLM, SGLang and llama.cpp can.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds that one answer may take.")] = 120.0,
    slo: Slo = None,
    price: Price = None,
    instance: Instance = None,
    spot: Annotated[bool, typer.Option("--spot", help="The machine's price on spot.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of prompts and arrivals.")] = 0,
    plot: Annotated[Path | None, typer.Option(parser=read_path, metavar="FILE.svg", help="Also plot it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure first tokens, tokens between, throughput, errors and cost of an endpoint under rising load.

    A key goes into CORTEX_BENCH_API_KEY, that of further endpoints into CORTEX_AGAINST_API_KEY.
    """
    if concurrency and rate:
        raise UsageError("--concurrency and --rate are two kinds of load: give one")
    if dataset and profile:
        raise UsageError("--dataset and --profile both name prompts: give one")
    if plot:
        require_folder(plot)
    import asyncio

    from cortex.benching.bench_sweep import BenchPlan, run_bench
    from cortex.benching.bench_target import read_target
    from cortex.benching.stream_request import Ask
    from cortex.settings import Settings

    settings = Settings()
    targets = [read_target(url, settings), *(read_target(one, settings, "against_api_key") for one in against or ())]
    prices = _prices(len(targets), price, instance, spot=spot)
    levels = (rate or concurrency or read_concurrencies("1,2,4,8,16")).steps
    prompts, most = _prompts(dataset, profile, split, requests or max(level.requests() for level in levels))
    plan = BenchPlan(
        levels=levels,
        ask=Ask(max_tokens=tokens_out or most or 64, ignore_eos=ignore_eos, timeout=timeout),
        requests=requests,
        rounds=rounds or (4 if against else 1),
        prompts=prompts,
        source=f"{dataset or profile}, {split}" if prompts else f"words of about {tokens_in} tokens",
        tokens_in=tokens_in,
        objective=slo,
        seed=seed,
    )
    try:
        measured = asyncio.run(run_bench(targets, plan, _tell))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if plot:
        from cortex.benching.bench_plot import plot_bench

        write_plot(plot, plot_bench(measured, slo))
    if as_json:
        from cortex.benching.bench_report import bench_json

        print(json_text(bench_json(measured, plan, prices)))
    else:
        from cortex.benching.bench_report import print_bench
        from cortex.console import Console

        console = Console()
        print_bench(measured, plan, prices, console if console.is_terminal else Console(width=max(console.width, 160)))
    _require_answers(measured)


def _tell(one: "Measured") -> None:
    figures = one.figures
    print(
        f"{one.target.label} at {one.level.label}: {figures.succeeded:,} of {figures.requests:,} answers in "
        f"{figures.seconds:.1f} s",
        file=sys.stderr,
        flush=True,
    )


def _require_answers(measured: "Sequence[Measured]") -> None:
    for one in measured:
        if one.figures.succeeded == 0:
            kind, (count, words) = next(iter(one.figures.faults.items()))
            raise StageError(
                f"{one.target.label} answered nothing well at {one.level.label}: {count:,} of "
                f"{one.figures.requests:,} requests failed: {kind}: {words}"
            )


def _prices(
    count: int, given: list[Decimal] | None, instances: list[str] | None, *, spot: bool
) -> list[Decimal | None]:
    """Dollars an hour for each endpoint."""
    if given and instances:
        raise UsageError("--price and --instance both say what an hour costs: give one")
    if spot and not instances:
        raise UsageError("--spot chooses among an instance's prices: name it with --instance")
    found: list[Decimal | None] = list(given or ())
    for place in instances or ():
        from cortex.fleet.clouds.instance_price import find_instance

        offer = find_instance(place, spot=spot)
        found.append(Decimal(str(offer.dollars_per_hour)))
        kind = "on spot" if offer.spot else "on demand"
        print(f"{offer.instance_type} in {offer.region}: ${offer.dollars_per_hour} an hour {kind}", file=sys.stderr)
    if len(found) not in (0, 1, count):
        raise UsageError(f"{len(found)} prices for {count} endpoints: give one for all, or one for each in their order")
    return found * count if len(found) == 1 else found or [None] * count


def _prompts(
    dataset: Path | None, profile: str | None, split: str, count: int
) -> "tuple[tuple[Conversation, ...] | None, int | None]":
    """The prompts of a dataset or a profile, and the profile's longest answer; None for what is not given."""
    from cortex.benching.bench_prompts import dataset_prompts

    if dataset:
        return tuple(dataset_prompts(dataset, split, count)), None
    if not profile:
        return None, None
    from cortex.domains.dataset import write_dataset
    from cortex.profiles.profile_file import load_profile
    from cortex.settings import Settings

    read = load_profile(profile)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cortex-bench-")))
        write_dataset(read.domain, read.seed, Settings(), folder)
        return tuple(dataset_prompts(folder, split, count)), read.evaluate.max_new_tokens
