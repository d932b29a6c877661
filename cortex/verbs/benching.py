"""`cortex bench`: load on an endpoint that serves a model."""

import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cortex.benching.load_levels import read_concurrencies
from cortex.errors import StageError, UsageError
from cortex.text import json_text
from cortex.verbs import bench_options as given
from cortex.verbs.options import INTERRUPTED, AsJson, require_folder, write_plot

if TYPE_CHECKING:
    from cortex.benching.bench_sweep import BenchPlan, Measured
    from cortex.benching.bench_target import BenchTarget
    from cortex.domains.question import Conversation

app = typer.Typer(help="Measure a server under load.", no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure a server under load."""


@app.command()
def serve(
    url: given.Url,
    against: given.Against = None,
    concurrency: given.Concurrency = None,
    rate: given.Rate = None,
    requests: given.Requests = None,
    rounds: given.Rounds = None,
    dataset: given.Dataset = None,
    profile: given.OfProfile = None,
    split: given.Split = "test",
    tokens_in: given.TokensIn = 256,
    tokens_out: given.TokensOut = None,
    ignore_eos: given.IgnoreEos = False,
    timeout: given.Timeout = 120.0,
    slo: given.Slo = None,
    price: given.Price = None,
    instance: given.Instance = None,
    spot: given.Spot = False,
    seed: given.Seed = 0,
    plot: given.Plot = None,
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
    from cortex.benching.bench_sweep import BenchPlan
    from cortex.benching.stream_request import Ask

    targets = _targets(url, against or [])
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
    _show(_measure(targets, plan), plan, prices, plot, as_json=as_json)


def _targets(url: str, against: list[str]) -> "list[BenchTarget]":
    from cortex.benching.bench_target import read_target
    from cortex.settings import Settings

    settings = Settings()
    return [read_target(url, settings), *(read_target(one, settings, "against_api_key") for one in against)]


def _measure(targets: "list[BenchTarget]", plan: "BenchPlan") -> "list[Measured]":
    import asyncio

    from cortex.benching.bench_sweep import run_bench

    try:
        return asyncio.run(run_bench(targets, plan, _tell))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _show(
    measured: "list[Measured]", plan: "BenchPlan", prices: list[Decimal | None], plot: Path | None, *, as_json: bool
) -> None:
    """Write the plot, if one is asked for, and print the figures; then fail if a level has none."""
    if plot:
        from cortex.benching.bench_plot import plot_bench

        write_plot(plot, plot_bench(measured, plan.objective))
    if as_json:
        from cortex.benching.bench_report import bench_json

        print(json_text(bench_json(measured, plan, prices)))
    else:
        from cortex.benching.bench_report import print_bench
        from cortex.console import Console

        console = Console()
        # Output to a program or a file is not cut to a terminal's 80 columns.
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
    count: int, dollars: list[Decimal] | None, instances: list[str] | None, *, spot: bool
) -> list[Decimal | None]:
    """Dollars an hour for each endpoint."""
    if dollars and instances:
        raise UsageError("--price and --instance both say what an hour costs: give one")
    if spot and not instances:
        raise UsageError("--spot chooses among an instance's prices: name it with --instance")
    found: list[Decimal | None] = list(dollars or ())
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
    with tempfile.TemporaryDirectory(prefix="cortex-bench-") as folder:
        write_dataset(read.domain, read.seed, Settings(), Path(folder))
        return tuple(dataset_prompts(Path(folder), split, count)), read.evaluate.max_new_tokens
