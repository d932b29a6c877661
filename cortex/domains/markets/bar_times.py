"""Closing times of a file's bars: stamps are put into UTC, and those of opening times moved to where the bar closes."""

import datetime as dt
from dataclasses import replace

import polars as pl

from cortex.domains.markets.bars import Length, duration_of
from cortex.domains.markets.columns import ROW
from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.daily import DAILY_STEP
from cortex.domains.markets.table_file import TableFile
from cortex.errors import DataError


def in_utc(table: TableFile, config: FilesConfig) -> TableFile:
    """A table whose times name no zone, read as local times of the `zone` given. Dates that name UTC days stay.

    Raises:
        DataError: clocks are set forward over a time, or back to it, so that it is none or two; or plain dates that
            give no closing time.
    """
    zone = config.zone
    if config.bars != "days":
        _check_dates(table, config.bars, table.stamp or config.stamps)
    if zone is None or table.zoned or (table.zoned is None and config.bars == "days"):
        return table
    local = table.rows["time"].dt.replace_time_zone(None)
    utc = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    if utc.null_count():
        row = int(utc.is_null().arg_max() or 0)
        raise DataError(
            f"{table.name}: row {row + 1} is of {_stamp(local[row])}, which daylight saving in {zone} skips or "
            "repeats: write times in UTC"
        )
    return replace(table, rows=table.rows.with_columns(utc.dt.convert_time_zone("UTC").alias("time")), zoned=True)


def with_closing_times(table: TableFile, config: FilesConfig) -> TableFile:
    """A table of bars with the time at which each closes in place of its stamp.

    Raises:
        DataError: stamps of several kinds.
    """
    length, stamp = config.bars, table.stamp or config.stamps
    rows = table.rows
    if table.stamp == "close":
        # A bar that ends with the last millisecond of an hour closes with the hour; the reader took a microsecond off.
        rows = rows.with_columns((pl.col("time") + dt.timedelta(seconds=1)).dt.truncate("1s"))
    if length != "1d" or stamp == "open":
        _check_grid(rows, table.name, config)
    if stamp == "open":
        rows = rows.with_columns(_later(rows["time"], length, config.zone).alias("time"))
    return replace(table, rows=rows)


def check_steps(rows: pl.DataFrame, length: Length, file: str) -> tuple[str, ...]:
    """Notes on gaps between bars, of rows sorted by symbol and time.

    Raises:
        DataError: two bars of a symbol are nearer to one another than their length.
    """
    whole = duration_of(length)
    least = DAILY_STEP if length == "1d" else whole
    steps = rows.select("symbol", "time", ROW, pl.col("time").diff().over("symbol").alias("step"))
    short = steps.filter(pl.col("step") < least)
    if short.height:
        symbol, time, row, step = short.row(0)
        raise DataError(
            f"{file}: row {row + 1} of {symbol} closes at {_stamp(time)}, {step} after the bar before, and `bars` is "
            f"{length}: give bars of one length, and name it"
        )
    gaps = steps.filter(pl.col("step") > whole)
    if length == "1d" or gaps.is_empty():
        return ()
    symbol, time, _, step = gaps.row(0)
    count = "one gap" if gaps.height == 1 else f"{gaps.height:,} gaps"
    return (
        f"{file}: {count} between bars of {length}, such as {symbol} between {_stamp(time - step)} and {_stamp(time)}: "
        "bars are counted on across them",
    )


def _check_dates(table: TableFile, length: Length, stamp: str) -> None:
    if table.zoned is not None:
        return
    if length != "1d":
        raise DataError(f"{table.name}: has plain dates, and `bars` is {length}: write times of day, or set bars: days")
    if stamp == "close":
        raise DataError(f"{table.name}: plain dates do not say when a bar closes: write times, or set stamps: open")


def _check_grid(rows: pl.DataFrame, file: str, config: FilesConfig) -> None:
    """Refuse stamps off the grid of the first one: some are of another kind, or clocks were changed."""
    micros = duration_of(config.bars) // dt.timedelta(microseconds=1)
    local = rows["time"].dt.convert_time_zone(config.zone or "UTC").dt.replace_time_zone(None)
    phase = local.to_physical() % micros
    off = phase != phase[0]
    if off.any():
        row = int(off.arg_max() or 0)
        raise DataError(
            f"{file}: row {row + 1} is stamped {_stamp(local[row])}, and row 1 {_stamp(local[0])}, which are not on "
            f"one grid of {config.bars}: give one kind of stamps, and the `zone` whose daylight saving moves them"
        )


def _later(time: pl.Series, length: Length, zone: str | None) -> pl.Series:
    """Opening times moved by a bar's length. A day ends at the same hour of the clock, be it 23 or 25 hours later."""
    if length != "1d" or zone is None:
        return time + duration_of(length)
    local = time.dt.convert_time_zone(zone).dt.replace_time_zone(None) + dt.timedelta(days=1)
    # An hour that daylight saving skips ends where it begins; of one that it repeats, the later is never too early.
    closed = local.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    later = (local + dt.timedelta(hours=1)).dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
    return closed.fill_null(later).dt.convert_time_zone("UTC")


def _stamp(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")
