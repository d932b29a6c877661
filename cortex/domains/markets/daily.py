"""Conversion of bars of any length to UTC days, leaving out incomplete days."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from cortex.domains.markets.columns import FILE, ROW
from cortex.errors import DataError

DAILY_STEP = dt.timedelta(hours=20)
"""Median step from which on bars are daily: an hour or two lost to summer time does not make them shorter ones."""

_HOW = {
    "open": pl.col("open").first(),
    "high": pl.col("high").max(),
    "low": pl.col("low").min(),
    "close": pl.col("close").last(),
}


@dataclass(frozen=True)
class Daily:
    """A table's days."""

    table: pl.DataFrame
    """symbol, date, prices and metrics, sorted by symbol and date."""
    left_out: pl.DataFrame | None = None
    """The days that were left out: symbol, date, _bars, _usual."""


def to_days(rows: pl.DataFrame, prices: list[str], metrics: list[str], file: str) -> Daily:
    """Rows (symbol, time, prices, metrics), sorted by symbol and time, as UTC days.

    Shorter bars become the first open, the highest high, the lowest low, the last close, and the mean of every metric.
    A day is left out that has less than half of the symbol's usual number of bars, and one that ends the history, or a
    stretch of it, before the hour at which the day before ended: its close would be that of another hour. Raises
    DataError where daily bars share a day, or begin at another hour than midnight UTC.
    """
    dated = rows.select("symbol", pl.col("time").dt.date().alias("date"), *prices, *metrics, "time", FILE, ROW)
    if not dated.select(pl.struct("symbol", "date").is_duplicated().any()).item():
        _check_stamps(dated, file)
        return Daily(dated.drop("time", FILE, ROW))
    step = pl.col("time").diff().median().over("symbol")
    daily_bars = dated.filter(step >= DAILY_STEP)
    _check_single(daily_bars, file)
    _check_stamps(daily_bars, file)
    days = dated.group_by("symbol", "date", maintain_order=True).agg(
        *(_HOW[price] for price in prices),
        pl.col(metrics).mean(),
        pl.len().alias("_bars"),
        pl.col("time").last().dt.time().alias("_end"),
    )
    usual = pl.col("_bars").quantile(0.5, "higher").over("symbol")
    stops = pl.col("date").shift(-1).over("symbol") != pl.col("date").dt.offset_by("1d")
    cut_short = stops.fill_null(True) & (pl.col("_end") < pl.col("_end").shift(1).over("symbol")) & (usual >= 2)
    days = days.with_columns((cut_short | (pl.col("_bars") * 2 < usual)).fill_null(False).alias("_part"), _usual=usual)
    parts = days.filter("_part")
    kept = days.filter(~pl.col("_part")).drop("_part", "_bars", "_end", "_usual")
    return Daily(kept, parts.select("symbol", "date", "_bars", "_usual"))


def note_parts(parts: pl.DataFrame | None, file: str) -> tuple[str, ...]:
    """A note on the days that were left out of a file's days."""
    if parts is None or parts.is_empty():
        return ()
    symbol, date, bars, usual = parts.select("symbol", "date", "_bars", "_usual").row(-1)
    count = "1 day" if parts.height == 1 else f"{parts.height:,} days"
    return (f"{file}: {count} in part left out, such as {symbol} {date} with {bars} of {usual:g} bars",)


def _check_single(rows: pl.DataFrame, file: str) -> None:
    twice = rows.filter(pl.struct("symbol", "date").is_duplicated())
    if twice.height:
        symbol, date = twice.select("symbol", "date").row(0)
        times = [_stamp(time) for time in twice.filter(symbol=symbol, date=date)["time"]]
        raise DataError(
            f"{file}: daily bars of {symbol} share the UTC day {date}, {' and '.join(times)}: give one bar a UTC day"
        )


def _check_stamps(rows: pl.DataFrame, file: str) -> None:
    """Refuse daily bars that are cut at another hour: read as UTC days, they would end later than they say."""
    minute = rows.select(pl.col("time").dt.hour().cast(pl.Int32) * 60 + pl.col("time").dt.minute()).to_series()
    off = (minute != 0) & (minute != 24 * 60 - 1)
    if off.any():
        row = off.arg_max() or 0
        place, stamp = rows[ROW][row] + 1, _stamp(rows["time"][row])
        raise DataError(
            f"{file}: row {place} is a daily bar of {stamp} UTC: give bars of UTC days, stamped 00:00, or plain dates; "
            "or set bars: 1d"
        )


def _stamp(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")
