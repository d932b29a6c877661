"""Files whose rows say from when they were known: metrics that are revised, and dated texts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from cortex.domains.markets.account import Account, shortened
from cortex.domains.markets.file_list import list_files
from cortex.domains.markets.source import KNOWN_AT
from cortex.domains.markets.table_file import TableFile, read_cells, read_symbols, read_table
from cortex.domains.markets.timestamps import read_times
from cortex.errors import DataError

ALL = ""
"""The symbol of rows that concern all."""


def read_vintages(paths: Sequence[Path], symbols: Sequence[str]) -> tuple[pl.DataFrame, Account]:
    """The vintages of some files, as of `MarketTables`, and the account of their columns.

    `symbols` are those that have prices. Raises DataError, naming the file and the row.
    """
    files, notes = list_files(paths)
    tables = [_read_file(file) for file in files]
    rows = pl.concat(
        [table.rows.select("symbol", "time", KNOWN_AT, *table.metrics) for table in tables], how="diagonal"
    )
    rows, left_out = _of_symbols(rows, symbols, "vintages")
    twice = rows.filter(pl.struct("symbol", "time", KNOWN_AT).is_duplicated())
    if twice.height:
        symbol, time, known = twice.row(0)[:3]
        raise DataError(
            f"{shortened([file.name for file in files])}: two rows of {symbol} {time:%Y-%m-%d} were known at {known}: "
            "keep one of them"
        )
    columns = tuple(
        replace(column, role="time", why="the time from which the row was known")
        if column.name.lower() == KNOWN_AT
        else column
        for table in tables
        for column in table.columns
    )
    again = rows.group_by("symbol", "time").len().filter(pl.col("len") > 1).height
    revised = f"{again:,} days have revised values, which count from their own {KNOWN_AT} on"
    return rows.sort("symbol", KNOWN_AT, "time"), Account(columns, (*notes, *left_out, revised))


def read_news(paths: Sequence[Path]) -> pl.DataFrame:
    """The texts of some files, as of `MarketTables`. Raises DataError, naming the file and the row."""
    parts: list[pl.DataFrame] = []
    for file in list_files(paths)[0]:
        cells = read_cells(file)
        if "text" not in cells.columns:
            raise DataError(f"{file.name}: lacks the column text; found {shortened(cells.columns, 20)}: rename one")
        symbol = pl.repeat(ALL, len(cells), dtype=pl.String, eager=True)
        if "symbol" in cells.columns:
            symbol = read_symbols(cells["symbol"], file.name).fill_null(ALL)
        text = cells["text"].cast(pl.String).str.replace_all(r"\s+", " ").str.strip_chars()
        part = pl.DataFrame({"symbol": symbol, "time": _known_times(cells, file), "text": text})
        parts.append(part.filter(pl.col("text").str.len_chars() > 0))
    rows = pl.concat(parts).with_columns(pl.col("symbol").replace(ALL, None))
    return rows.sort("time", "symbol", "text")


def _read_file(file: Path) -> TableFile:
    cells = read_cells(file)
    table = read_table(file, ALL)
    if table.prices or not table.metrics:
        held = "prices" if table.prices else "no column of numbers"
        raise DataError(f"{file.name}: has {held}: a file of vintages holds a date, {KNOWN_AT} and metrics")
    known = _known_times(cells, file)
    # A day's value may be known on the day itself, as a first estimate is, but not before.
    early = known < table.rows["time"]
    if early.any():
        row = int(early.arg_max() or 0)
        raise DataError(
            f"{file.name}: row {row + 1} was known at {known[row]:%Y-%m-%d %H:%M}, before the day that it is of, "
            f"{table.rows['time'][row]:%Y-%m-%d}: correct it"
        )
    closed = pl.col("time").dt.truncate("1d").dt.offset_by("1d")
    return replace(table, rows=table.rows.with_columns(closed, known.alias(KNOWN_AT)))


def _known_times(cells: pl.DataFrame, file: Path) -> pl.Series:
    """The times from which rows were known, in UTC; of a plain date, the end of that day."""
    column = next((name for name in cells.columns if name.strip().lower() == KNOWN_AT), None)
    if column is None:
        found = shortened(cells.columns, 20)
        raise DataError(f"{file.name}: lacks {KNOWN_AT}, the time from which a row was known; found {found}: add it")
    times = read_times(cells[column], file.name)
    return times.utc.dt.offset_by("1d") if times.zoned is None else times.utc


def _of_symbols(rows: pl.DataFrame, symbols: Sequence[str], what: str) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows of symbols that have prices, those that concern all once for each; and a note on other symbols.

    Raises DataError where no row is left.
    """
    named, common = rows.filter(pl.col("symbol") != ALL), rows.filter(pl.col("symbol") == ALL)
    own = named.filter(pl.col("symbol").is_in(symbols))
    strangers = named.filter(~pl.col("symbol").is_in(symbols))["symbol"].unique().sort().to_list()
    if own.is_empty() and common.is_empty():
        raise DataError(f"{what} of {shortened(strangers)} have no prices to go with: name the symbols alike")
    each = common.drop("symbol").join(pl.DataFrame({"symbol": sorted(symbols)}), how="cross")
    notes = (f"{what} of {shortened(strangers)}, which have no prices, are left out",) if strangers else ()
    return pl.concat([own, each.select(rows.columns)]), notes
