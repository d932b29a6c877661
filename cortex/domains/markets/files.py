"""A user's own files as a source: prices, and on-chain metrics beside them or in files of their own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Account, Column, quoted, shortened
from cortex.domains.markets.bar_times import in_utc, with_closing_times
from cortex.domains.markets.checks import check_metrics, check_order, check_prices, is_newest_first
from cortex.domains.markets.columns import FILE, ROW, why_no_metric
from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.contributions import origins_of
from cortex.domains.markets.joined_files import History, join_onchain, join_parts, join_prices, note_joined
from cortex.domains.markets.source import MarketTables, Pieces, one_piece
from cortex.domains.markets.symbols import find_symbols, merge_spellings, numbered_alike, spelled, symbol_of
from cortex.domains.markets.table_file import KINDS, UNNAMED, TableFile, column_name, kind_of, read_table
from cortex.errors import DataError


@dataclass(frozen=True)
class FilesSource:
    """A `Source` of parquet and CSV files: see `cortex.domains.markets.table_file` for what they may hold."""

    config: FilesConfig

    def load(self) -> MarketTables:
        """All files as one set of tables. Raises DataError, naming the file, the value and the fix."""
        files, notes = _files(self.config.paths)
        tables = [read_table(file, symbol_of(_stem(file)), number) for number, file in enumerate(files)]
        _check_numbers([_stem(file) for file, table in zip(files, tables, strict=True) if not table.names_symbols])
        if self.config.zone is None:
            _check_zones(tables)
        tables = [in_utc(table, self.config) for table in tables]
        tables, merged = _merge_symbols(tables)
        for table in tables:
            _check_rows(table)
        if self.config.bars != "days":
            tables = [with_closing_times(table, self.config) for table in tables]
        histories = join_parts(tables)
        wanted = None if self.config.metrics is None else [column_name(metric) for metric in self.config.metrics]
        left_out = _left_out(histories, tables, self.config.metrics)
        bars = [history.to_bars(left_out, self.config.bars) for history in histories]
        prices = join_prices([(name, table) for (name, table, _) in bars])
        onchain = join_onchain([table for (_, table, _) in bars])
        if self.config.symbols is not None:
            symbols = find_symbols(self.config.symbols, prices["symbol"].unique().to_list())
            prices = _keep_symbols(prices, symbols)
            onchain = None if onchain is None else onchain.filter(pl.col("symbol").is_in(symbols))
        if wanted is not None:
            onchain = None if onchain is None or not wanted else onchain.select("symbol", "time", *wanted)
        if onchain is not None:
            _check_coverage(prices, onchain)
        account = Account(
            tuple(_judged(column, left_out) for table in tables for column in table.columns),
            (
                *notes,
                *(f"{table.name}: {note}" for table in tables for note in table.notes),
                *merged,
                *note_joined(tables),
                *(note for (_, _, part_notes) in bars for note in part_notes),
            ),
        )
        zone = self.config.zone if self.config.bars == "1d" else None
        origins = pl.concat(_origins(table, left_out) for table in tables)
        return MarketTables(prices, onchain, account=account, zone=zone, origins=origins)

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self.load())

    def describe(self) -> dict[str, object]:
        return {
            "name": "files",
            "files": [_describe(file) for file in _files(self.config.paths)[0]],
            "symbols": None if self.config.symbols is None else list(self.config.symbols),
            "metrics": None if self.config.metrics is None else list(self.config.metrics),
        }


def _files(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """All named files, and the files of each named folder in the order of their names; with notes on files not read."""
    files: list[Path] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            # Hidden files are not the user's: operating systems write `._BTC.csv` and `.DS_Store`.
            inside = sorted(path.iterdir())
            shown = [file for file in inside if file.is_file() and kind_of(file) and not file.name.startswith(".")]
            if not shown:
                raise DataError(f"{path}: this folder has no {' or '.join(KINDS[:2])} file: name the one with the data")
            files += shown
            if others := [file.name for file in inside if file not in shown]:
                notes.append(f"not read: {shortened(others)}")
        elif not path.exists():
            raise DataError(f"{path}: no such file: check the path")
        elif kind_of(path) is None:
            raise DataError(f"{path}: is neither {' nor '.join(KINDS[:2])}: convert it")
        else:
            files.append(path)
    return files, tuple(notes)


def _stem(file: Path) -> str:
    return file.name[: -len(kind_of(file) or "")]


def _describe(file: Path) -> dict[str, object]:
    with file.open("rb") as stream:
        return {"name": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _check_zones(tables: Sequence[TableFile]) -> None:
    zoned = next((table.name for table in tables if table.zoned), None)
    naive = next((table.name for table in tables if table.zoned is False), None)
    if zoned and naive:
        raise DataError(f"{naive} has times without a time zone and {zoned} times with one: write all in UTC")


def _check_numbers(stems: Sequence[str]) -> None:
    """Refuse files whose names differ only by a number, as `BTC_1` and `BTC_2`: parts, intervals, or two assets?"""
    named = {symbol_of(stem): stem for stem in stems}  # years and parts are not in the symbol: their files are joined
    if alike := numbered_alike(list(named)):
        files = " and ".join(quoted(named[symbol]) for symbol in alike)
        raise DataError(
            f"{files}, files without a symbol column, are named alike but for a number: name parts of one history "
            "`BTC-part1` and `BTC-part2`, keep one of two intervals, or add a symbol column"
        )


def _merge_symbols(tables: Sequence[TableFile]) -> tuple[list[TableFile], tuple[str, ...]]:
    found = {symbol for table in tables for symbol in table.rows["symbol"].unique().drop_nulls()}
    names, notes = merge_spellings(found)
    if not names:
        return list(tables), ()
    renamed = [
        replace(table, rows=table.rows.with_columns(spelled(table.rows["symbol"], names).alias("symbol")))
        for table in tables
    ]
    return renamed, notes


def _check_rows(table: TableFile) -> None:
    if not is_newest_first(table.rows):  # such a table is reversed later, when its history is sorted
        check_order(table.rows, table.name)
    if table.prices:
        check_prices(table.rows, table.name)
    check_metrics(table.rows, table.metrics, table.name)


def _left_out(
    histories: Sequence[History], tables: Sequence[TableFile], asked_for: Sequence[str] | None
) -> dict[str, str]:
    """The reason for each numeric column that is not used as a metric. Raises DataError for a wanted column without
    numbers."""
    wanted = None if asked_for is None else [column_name(metric) for metric in asked_for]
    reasons: dict[str, list[str | None]] = {}
    for history in histories:
        rows = history.rows.sort(FILE, ROW)
        for metric in history.metrics:
            if wanted is None:
                reasons.setdefault(metric, []).append(why_no_metric(rows, metric))
            else:
                reasons.setdefault(metric, []).append(None if metric in wanted else "not among the `metrics` asked for")
    if asked_for is not None:
        _check_wanted(asked_for, list(reasons), tables)
    # A column that varies in one file is a metric in all of them, even where it is constant.
    left_out = {metric: found[0] for metric, found in reasons.items() if found[0] and all(found)}
    for metric in reasons:
        if metric == UNNAMED and metric not in left_out:
            names = [table.name for table in tables if metric in table.metrics]
            raise DataError(f"{names[0]}: a column of numbers has no name: name it in the first line")
    return left_out


def _check_wanted(wanted: Sequence[str], found: Sequence[str], tables: Sequence[TableFile]) -> None:
    missing = [metric for metric in wanted if column_name(metric) not in found]
    if not missing:
        return
    for table in tables:
        for column in table.columns:
            if column_name(column.name) == column_name(missing[0]):
                raise DataError(
                    f"{table.name}: column {quoted(column.name)}, which `metrics` names, serves as no metric "
                    f"({column.role}: {column.why}): name another"
                )
    raise DataError(f"no column {shortened(missing)}, which `metrics` names; found {shortened(found)}")


def _origins(table: TableFile, left_out: dict[str, str]) -> pl.DataFrame:
    serves = bool(table.prices) or any(metric not in left_out for metric in table.metrics)
    return origins_of(table.name, table.rows, serves=serves)


def _judged(column: Column, left_out: dict[str, str]) -> Column:
    why = left_out.get(column_name(column.name)) if column.role == "metric" else None
    return replace(column, role="left out", why=why) if why else column


def _keep_symbols(prices: pl.DataFrame, symbols: Sequence[str]) -> pl.DataFrame:
    found = prices["symbol"].unique().sort().to_list()
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(f"no prices of {shortened(missing)}, which `symbols` names; found {shortened(found)}")
    return prices.filter(pl.col("symbol").is_in(symbols))


def _check_coverage(prices: pl.DataFrame, onchain: pl.DataFrame) -> None:
    """Refuse a symbol that lacks a metric: every metric is a feature of every example, so it would have no examples."""
    priced = prices["symbol"].unique()
    strangers = onchain.filter(~pl.col("symbol").is_in(priced.implode()))["symbol"].unique().sort().to_list()
    if strangers:
        raise DataError(
            f"metrics of {shortened(strangers)} have no prices to go with: name the symbols alike (a file without a "
            "symbol column is named after its stem), or choose with `symbols`"
        )
    counts = priced.to_frame().join(
        onchain.group_by("symbol").agg(pl.exclude("symbol", "time").count()), "symbol", "left"
    )
    for metric in onchain.columns[2:]:
        without = counts.filter(pl.col(metric).fill_null(0) == 0)["symbol"].sort().to_list()
        if without:
            raise DataError(
                f"no values of metric {metric} for {len(without)} of {len(priced)} symbols, such as {without[0]}: give "
                "them, or choose with `symbols` or `metrics`"
            )
