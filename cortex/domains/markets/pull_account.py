"""Pulling alone: a market's source is loaded, and accounted for, without building examples of it."""

import polars as pl

from cortex.domains.domain import OnProgress, Workspace
from cortex.domains.markets.account import shortened
from cortex.domains.markets.bars import FIXING, duration_of
from cortex.domains.markets.closing import show_bar
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.dune import DuneSource
from cortex.domains.markets.flipside import FlipsideSource
from cortex.domains.markets.public import PublicSource
from cortex.domains.markets.source import MarketTables, Source
from cortex.domains.markets.sources import open_source
from cortex.domains.pull_report import PullReport
from cortex.settings import Settings


def pull_market(
    config: DataConfig, seed: int, settings: Settings, on_progress: OnProgress, *, fresh: bool
) -> PullReport:
    """Load a market's source. Raises ConfigError or DataError as the source does."""
    source = open_source(config, seed=seed, settings=settings, fresh=fresh)
    pieces = source.pieces(Workspace(on_progress=on_progress))
    counts: list[pl.DataFrame] = []
    absent: list[str] = []
    rows = 0
    for tables in pieces.tables:
        counts.append(_count(tables.prices))
        rows += tables.prices.height + (0 if tables.onchain is None else tables.onchain.height)
        absent += _without_metrics(tables)
    account = pieces.account()
    symbols = pl.concat(counts).sort("symbol")
    notes = () if account is None else account.notes
    return PullReport(
        source=str(source.describe().get("made_by") or source.describe()["name"]),
        rows=rows,
        span=f"{symbols.height} symbols, {show_bar(symbols['first'].min())} to {show_bar(symbols['last'].max())}",  # type: ignore[arg-type]
        gaps=_gaps(symbols, config),
        cost=_cost(source),
        absent=(*notes, *absent),
    )


def _count(prices: pl.DataFrame) -> pl.DataFrame:
    """symbol, rows, and the first and the last time."""
    time = pl.col("time")
    return prices.group_by("symbol").agg(pl.len().alias("rows"), time.min().alias("first"), time.max().alias("last"))


def _gaps(symbols: pl.DataFrame, config: DataConfig) -> tuple[str, ...]:
    """Bars that are missing between a symbol's first and last; fixings have a calendar of their own."""
    if config.bar == FIXING:
        return ()
    step = duration_of(getattr(config.source, "bars", "days"))
    due = (pl.col("last") - pl.col("first")).dt.total_seconds() // int(step.total_seconds()) + 1
    missing = symbols.with_columns((due - pl.col("rows")).alias("missing")).filter(pl.col("missing") > 0)
    words = [f"{symbol} {count:,}" for symbol, count in missing.select("symbol", "missing").iter_rows()]
    return (f"bars missing between a symbol's first and last: {shortened(words)}",) if words else ()


def _without_metrics(tables: MarketTables) -> list[str]:
    """Symbols that have no value of a metric at all: no example of theirs can be built."""
    if tables.onchain is None:
        return []
    known = tables.onchain.group_by("symbol").agg(pl.col(name).is_not_null().any() for name in tables.metrics)
    every = tables.prices.select(pl.col("symbol").unique()).join(known, on="symbol", how="left").sort("symbol")
    found = {name: every.filter(~pl.col(name).fill_null(False))["symbol"].to_list() for name in tables.metrics}
    return [f"{name} of {shortened(names)}: no examples of them" for name, names in found.items() if names]


def _cost(source: Source) -> str:
    if isinstance(source, PublicSource):
        kept = source.kept
        revised = "" if kept.revised is None else f"; {kept.revised:,} rows were revised since"
        return f"nothing: no account is needed; {kept.asked} of {len(kept.digests)} series asked for{revised}"
    if not isinstance(source, FlipsideSource | DuneSource):
        return "nothing: it is on this machine"
    unit = "credits" if isinstance(source, DuneSource) else "query-seconds"
    spent = sum(pulled.cost.get(unit, 0.0) for pulled in source.pulls if not pulled.kept)
    asked = sum(not pulled.kept for pulled in source.pulls)
    revised = [pulled.revised for pulled in source.pulls if pulled.revised is not None]
    again = f"; {sum(revised):,} rows were revised since" if revised else ""
    return f"{spent:.1f} {unit}; {asked} of {len(source.pulls)} statements asked for{again}"
