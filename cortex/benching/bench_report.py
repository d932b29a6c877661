"""A bench as a table for the terminal and as JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.table import Table

from cortex.benching.amounts_text import plain
from cortex.benching.bench_figures import Figures, Spread, per_million
from cortex.benching.bench_sweep import BenchPlan, Measured
from cortex.console import Console
from cortex.text import harmless

FORMAT = "cortex bench serve 1"
"""The mark of the JSON, by which `cortex breakeven` knows it."""

_BUSY = 0.8
"""Share of its time that this program may compute, until it counts as the limit of what it measured."""

RATIOS: dict[str, Callable[[Figures], float | None]] = {
    "ttft": lambda figures: figures.ttft.median,
    "per_token": lambda figures: figures.per_token.median,
    "output_tokens_per_second": lambda figures: figures.output_per_second or None,
    "goodput": lambda figures: figures.goodput or None,
    "memory": lambda figures: figures.memory.bytes,
}
"""Figures by which endpoints are compared, by their names in the JSON. The time of a token is a request's mean, since
chunks that arrive in bunches distort the gaps between them."""


@dataclass(frozen=True)
class Ratio:
    """A figure of one endpoint divided by the first endpoint's: over all requests, and its range over the rounds."""

    whole: float
    lowest: float
    highest: float

    def to_json(self) -> dict[str, float]:
        return {"ratio": self.whole, "lowest": self.lowest, "highest": self.highest}


def bench_json(measured: Sequence[Measured], plan: BenchPlan, prices: Sequence[Decimal | None]) -> dict[str, Any]:
    """The output of `cortex bench serve --json`; `prices` are dollars an hour, one for each endpoint."""
    endpoints = _endpoints(measured)
    priced = dict(zip(endpoints, prices, strict=True))
    return {
        "format": FORMAT,
        "prompts": plan.source,
        "max_tokens": plan.ask.max_tokens,
        "rounds": plan.rounds,
        "objective": plan.objective.to_json() if plan.objective else None,
        "endpoints": [
            {
                "endpoint": endpoint,
                "url": next(one.target.url for one in measured if one.target.label == endpoint),
                "model": next(one.target.model for one in measured if one.target.label == endpoint),
                "dollars_per_hour": None if (price := priced[endpoint]) is None else plain(price),
                "levels": [
                    {**one.level.to_json(), **one.figures.to_json(price)}
                    for one in measured
                    if one.target.label == endpoint
                ],
            }
            for endpoint in endpoints
        ],
        "ratios": [
            {
                "endpoint": one.target.label,
                "to": first.target.label,
                **one.level.to_json(),
                **{name: ratio.to_json() for name, ratio in ratios.items()},
            }
            for one, first, ratios in compare(measured)
        ],
    }


def compare(measured: Sequence[Measured]) -> list[tuple[Measured, Measured, dict[str, Ratio]]]:
    """Each further endpoint at each level, the first endpoint at that level, and the ratios of their figures."""
    firsts = {one.level: one for one in reversed(measured)}  # the last to be entered is the first endpoint's
    compared: list[tuple[Measured, Measured, dict[str, Ratio]]] = []
    for one in measured:
        first = firsts[one.level]
        if one is not first:
            found = {name: _ratio(one, first, figure) for name, figure in RATIOS.items()}
            compared.append((one, first, {name: ratio for name, ratio in found.items() if ratio}))
    return compared


def _ratio(one: Measured, first: Measured, figure: Callable[[Figures], float | None]) -> Ratio | None:
    pairs = [(figure(own), figure(other)) for own, other in zip(one.rounds, first.rounds, strict=True)]
    shares = [own / other for own, other in pairs if own and other]
    own, other = figure(one.figures), figure(first.figures)
    return Ratio(own / other, min(shares), max(shares)) if shares and own and other else None


def print_bench(
    measured: Sequence[Measured], plan: BenchPlan, prices: Sequence[Decimal | None], console: Console
) -> None:
    """Print a row for each level of each endpoint, their ratios, and what went wrong."""
    endpoints = _endpoints(measured)
    priced = dict(zip(endpoints, prices, strict=True))
    console.print(
        f"prompts: {plan.source}; at most {plan.ask.max_tokens} tokens an answer; times in ms", soft_wrap=True
    )
    headings = ["load", "well", "TTFT p50/p95/p99", "ITL p50/p95/p99", "in/s", "out/s", "requests/s"]
    headings += ["good/s"] if plan.objective else []
    for endpoint in endpoints:
        table = Table(box=None, pad_edge=False)
        for heading in (*headings, "memory", "$/M out", "$/M all"):
            table.add_column(heading, justify="right", no_wrap=True)
        for one in measured:
            if one.target.label == endpoint:
                table.add_row(*_cells(one, plan, priced[endpoint]))
        console.print(f"\n{endpoint}", soft_wrap=True)
        console.print(table)
    _print_ratios(measured, console)
    for one in measured:
        _print_faults(one, console)


def _print_ratios(measured: Sequence[Measured], console: Console) -> None:
    compared = compare(measured)
    if not compared:
        return
    console.print()
    table = Table("ratio (range over rounds)", "load", *RATIOS, box=None, pad_edge=False)
    for one, first, ratios in compared:
        cells = [
            f"{ratio.whole:.2f} ({ratio.lowest:.2f}-{ratio.highest:.2f})" if (ratio := ratios.get(name)) else ""
            for name in RATIOS
        ]
        table.add_row(f"{one.target.label} / {first.target.label}", one.level.label, *cells)
    console.print(table)


def _print_faults(one: Measured, console: Console) -> None:
    figures, where = one.figures, f"{one.target.label} at {one.level.label}"
    for kind, (count, words) in figures.faults.items():
        console.print(f"{where}: {count:,} of {figures.requests:,} failed: {kind}: {harmless(words)}", soft_wrap=True)
    if figures.client_share > _BUSY:
        console.print(
            f"{where}: this program computed for {figures.client_share:.0%} of the time, and may have been the limit",
            soft_wrap=True,
        )
    if figures.chunks and abs(figures.tokens_out / figures.chunks - 1) > 0.1:
        console.print(
            f"{where}: {figures.tokens_out / figures.chunks:.1f} tokens in each chunk: ITL is between chunks",
            soft_wrap=True,
        )


def _cells(one: Measured, plan: BenchPlan, price: Decimal | None) -> list[str]:
    figures = one.figures
    per_second = None if figures.tokens_in is None else figures.tokens_in / figures.seconds
    cells = [one.level.label, f"{figures.succeeded}/{figures.requests}", _spread(figures.ttft), _spread(figures.itl)]
    cells += ["?" if per_second is None else f"{per_second:,.0f}", f"{figures.output_per_second:,.0f}"]
    cells += [f"{figures.succeeded / figures.seconds:.2f}"]
    if plan.objective:
        cells += [f"{figures.goodput or 0.0:.2f} ({figures.good_share or 0.0:.0%})"]
    costs = [per_million(price, speed) for speed in (figures.output_per_second, figures.total_per_second)]
    return [*cells, _memory(figures), *("" if cost is None else f"{cost:,.4f}" for cost in costs)]


def _spread(spread: Spread) -> str:
    return "/".join(
        "-" if value is None else f"{value * 1000:.1f}" for value in (spread.median, spread.p95, spread.p99)
    )


def _memory(figures: Figures) -> str:
    memory = figures.memory
    size = "?" if memory.bytes is None else f"{memory.bytes / 2**30:.2f} GiB"
    return size if memory.kv_cache is None else f"{size}, cache {memory.kv_cache:.0%}"


def _endpoints(measured: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.target.label for one in measured))
