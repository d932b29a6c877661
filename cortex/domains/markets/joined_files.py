"""Files joined: parts of one history into one table, and tables of prices and metrics side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cortex.domains.markets.account import shortened
from cortex.domains.markets.bar_times import check_steps
from cortex.domains.markets.bars import Length
from cortex.domains.markets.checks import OHLC
from cortex.domains.markets.closing import day_closed, show_bar
from cortex.domains.markets.columns import FILE
from cortex.domains.markets.daily import DAILY_STEP, to_days
from cortex.domains.markets.table_file import TableFile
from cortex.errors import DataError


@dataclass(frozen=True)
class History:
    """The rows of all files with the same columns, as one table."""

    name: str
    rows: pl.DataFrame
    """Sorted by symbol and time."""
    prices: list[str]
    metrics: list[str]

    def to_bars(self, left_out: dict[str, str], length: Length) -> "Bars":
        """The bars of UTC days, or the rows as they are."""
        metrics = [metric for metric in self.metrics if metric not in left_out]
        columns = ("symbol", "time", *self.prices, *metrics)
        if length != "days":
            notes = check_steps(self.rows, length, self.name)
            return Bars(self.name, self.rows.select(columns), notes)
        rows = self.rows.drop(metric for metric in self.metrics if metric in left_out)
        daily = to_days(rows, self.prices, metrics, self.name)
        days = daily.table.with_columns(day_closed().alias("time"))
        return Bars(self.name, days.select(columns), left_out=daily.left_out)


@dataclass(frozen=True)
class Bars:
    """A history's bars."""

    name: str
    table: pl.DataFrame
    """symbol, time, prices and metrics, sorted by symbol and time."""
    notes: tuple[str, ...] = ()
    left_out: pl.DataFrame | None = None
    """As of `Daily`."""


def join_parts(tables: Sequence[TableFile]) -> list[History]:
    """Join files with the same columns into one table, so that a day which two of them share is whole."""
    histories: list[History] = []
    for parts in group_alike(tables):
        first = parts[0]
        rows = pl.concat([part.rows.select(first.rows.columns) for part in parts]).sort("symbol", "time")
        if len(parts) > 1:
            _check_parts(rows, parts)
        histories.append(History(joined_name(parts), rows, first.prices, first.metrics))
    return histories


def group_alike(tables: Sequence[TableFile]) -> list[list[TableFile]]:
    """Tables with the same columns, which hold parts of the same histories."""
    alike: dict[tuple[str, ...], list[TableFile]] = {}
    for table in tables:
        alike.setdefault((*table.prices, *sorted(table.metrics)), []).append(table)
    return list(alike.values())


def joined_name(parts: Sequence[TableFile]) -> str:
    """The name of some files together, for messages."""
    return parts[0].name if len(parts) == 1 else shortened([part.name for part in parts], 2)


def join_prices(tables: Sequence[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    parts = [(name, table.select("symbol", "time", *OHLC)) for name, table in tables if "close" in table.columns]
    if not parts:
        names = ", ".join(name for name, _ in tables)
        raise DataError(f"{names}: lacks {', '.join(OHLC)}: give a file with daily prices, or rename its columns")
    if len(parts) == 1:
        return parts[0][1]
    prices = pl.concat([frame for _, frame in parts])
    twice = prices.filter(pl.struct("symbol", "time").is_duplicated())
    if twice.height:
        symbol, time = twice.select("symbol", "time").row(0)
        holders = [name for name, frame in parts if frame.filter(symbol=symbol, time=time).height]
        both = " and ".join(holders)
        raise DataError(f"{both} both have prices of {symbol} on {show_bar(time)}: keep one of them")
    return prices.sort("symbol", "time")


def join_onchain(tables: Sequence[pl.DataFrame]) -> pl.DataFrame | None:
    without_prices = [table.drop(OHLC, strict=False) for table in tables]
    parts = [table for table in without_prices if len(table.columns) > 2]
    if len(parts) < 2:
        return parts[0] if parts else None
    stacked = pl.concat(parts, how="diagonal")
    metrics = pl.exclude("symbol", "time")
    counts = stacked.group_by("symbol", "time", maintain_order=True).agg(metrics.count())
    for metric in counts.columns[2:]:
        twice = counts.filter(pl.col(metric) > 1)
        if twice.height:
            symbol, time = twice.select("symbol", "time").row(0)
            raise DataError(f"two files have {metric} of {symbol} on {show_bar(time)}: keep one of them")
    # At most one value is left for each day and metric, and `max` finds it among the nulls.
    return stacked.group_by("symbol", "time").agg(metrics.max()).sort("symbol", "time")


def note_joined(tables: Sequence[TableFile]) -> tuple[str, ...]:
    """Notes on symbols whose prices, or metrics of the same columns, come from more than one file."""
    sources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for table in tables:
        for symbol in table.rows["symbol"].unique().sort():
            sources.setdefault((symbol, tuple(table.prices) or tuple(table.metrics)), []).append(table.name)
    joined: dict[str, list[str]] = {}
    for (symbol, _), names in sources.items():
        if len(names) > 1:
            joined.setdefault(shortened(names, 4), []).append(symbol)
    return tuple(f"{shortened(symbols)}: joined from {names}" for names, symbols in joined.items())


def _check_parts(rows: pl.DataFrame, parts: Sequence[TableFile]) -> None:
    """Refuse files that hold the same day of a symbol, unless one continues within the day where another ends."""
    days = rows.group_by("symbol", pl.col("time").dt.date().alias("date"), maintain_order=True).agg(
        pl.col(FILE).unique(maintain_order=True).alias("files"),
        (pl.col(FILE) != pl.col(FILE).shift(1)).sum().alias("turns"),
        pl.col("time").is_duplicated().any().alias("same"),
    )
    shared = days.filter(pl.col("files").list.len() > 1)
    if shared.is_empty():
        return
    daily = rows.group_by("symbol", FILE).agg((pl.col("time").diff().median() >= DAILY_STEP).alias("daily"))
    daily_parts = set(daily.filter("daily").select("symbol", FILE).iter_rows())
    for symbol, date, files, turns, same in shared.iter_rows():
        if same or turns >= len(files) or any((symbol, number) in daily_parts for number in files):
            _refuse_copies(symbol, date, files, parts)


def _refuse_copies(symbol: str, date: object, files: Sequence[int], parts: Sequence[TableFile]) -> None:
    names = [part.name for part in parts if part.rows[FILE][0] in files]
    what = "prices" if parts[0].prices else "metrics"
    raise DataError(f"{' and '.join(names)} both have {what} of {symbol} on {date}: keep one of them")
