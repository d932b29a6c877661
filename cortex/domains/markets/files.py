"""A user's own files as a source: prices, and on-chain metrics beside them or in files of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Account
from cortex.domains.markets.bar_times import in_utc, with_closing_times
from cortex.domains.markets.columns import FILE, ROW
from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.daily import note_parts
from cortex.domains.markets.file_checks import (
    check_coverage,
    check_numbers,
    check_rows,
    check_zones,
    find_left_out,
    find_origins,
    judged,
    keep_symbols,
    merge_symbols,
)
from cortex.domains.markets.file_list import describe_file, list_files, stem_of
from cortex.domains.markets.file_pieces import FilePieces
from cortex.domains.markets.imputed import without_imputed
from cortex.domains.markets.joined_files import History, join_onchain, join_parts, join_prices, note_joined
from cortex.domains.markets.known_files import read_news, read_vintages
from cortex.domains.markets.partition import partition
from cortex.domains.markets.source import MarketTables, Pieces, one_piece
from cortex.domains.markets.symbols import find_symbols, symbol_of
from cortex.domains.markets.table_file import TableFile, column_name, read_cells, read_table
from cortex.errors import DataError


@dataclass(frozen=True)
class FilesSource:
    """A `Source` of parquet and CSV files: see `cortex.domains.markets.table_file` for what they may hold."""

    config: FilesConfig

    def load(self) -> MarketTables:
        """All files as one set of tables. Raises DataError, naming the file, the value and the fix."""
        files, notes = list_files(self.config.paths)
        tables = [self._read(file, number) for number, file in enumerate(files)]
        check_numbers([stem_of(file) for file, table in zip(files, tables, strict=True) if not table.names_symbols])
        if self.config.zone is None:
            check_zones(tables)
        tables = [in_utc(table, self.config) for table in tables]
        tables, merged = merge_symbols(tables)
        for table in tables:
            check_rows(table)
        if self.config.bars != "days":
            tables = [with_closing_times(table, self.config) for table in tables]
        histories = join_parts(tables)
        left_out = _left_out(histories, tables, self.config.metrics)
        bars = [history.to_bars(left_out, self.config.bars) for history in histories]
        prices = join_prices([(each.name, each.table) for each in bars])
        onchain = join_onchain([each.table for each in bars])
        if self.config.symbols is not None:
            symbols = find_symbols(self.config.symbols, prices["symbol"].unique().to_list())
            prices = keep_symbols(prices, symbols)
            onchain = None if onchain is None else onchain.filter(pl.col("symbol").is_in(symbols))
        if self.config.metrics is not None:
            wanted = [column_name(metric) for metric in self.config.metrics]
            onchain = None if onchain is None or not wanted else onchain.select("symbol", "time", *wanted)
        if onchain is not None:
            check_coverage(prices, onchain)
        account = Account(
            tuple(judged(column, left_out) for table in tables for column in table.columns),
            (
                *notes,
                *(f"{table.name}: {note}" for table in tables for note in table.notes),
                *merged,
                *note_joined(tables),
                *(note for each in bars for note in (*each.notes, *note_parts(each.left_out, each.name))),
            ),
        )
        zone = self.config.zone if self.config.bars == "1d" else None
        origins = pl.concat(find_origins(table, left_out) for table in tables)
        return self._with_dated(MarketTables(prices, onchain, account=account, zone=zone, origins=origins))

    def pieces(self, workspace: Workspace) -> Pieces:
        files, notes = list_files(self.config.paths)
        # Other bars are checked against the first row's grid, wherever that row is.
        plain = self.config.bars == "days" and self.config.zone is None and self.config.imputed is None
        dated = bool(self.config.vintages or self.config.news)
        parts = partition(files, workspace) if plain and not dated else None
        if parts is None:
            return one_piece(self.load())
        pieces = FilePieces(self.config, parts, notes)
        return Pieces(pieces.tables(), pieces.account, pieces.origins, parts.count)

    def _read(self, file: Path, number: int) -> TableFile:
        table = read_table(file, symbol_of(stem_of(file)), number)
        return without_imputed(table, read_cells(file), self.config.imputed) if self.config.imputed else table

    def _with_dated(self, tables: MarketTables) -> MarketTables:
        """The tables with vintages and news, where the profile names some."""
        account = tables.account
        assert account is not None
        if self.config.vintages:
            vintages, further = read_vintages(self.config.vintages, tables.prices["symbol"].unique().sort().to_list())
            twice = sorted(set(vintages.columns[3:]) & set(tables.metrics))
            if twice:
                raise DataError(f"metric {twice[0]} is in a file of vintages and in another: keep one, or rename one")
            account = Account((*account.columns, *further.columns), (*account.notes, *further.notes))
            tables = replace(tables, vintages=vintages, account=account)
        return replace(tables, news=read_news(self.config.news.paths)) if self.config.news else tables

    def describe(self) -> dict[str, object]:
        dated = {"vintages": self.config.vintages, "news": self.config.news.paths if self.config.news else ()}
        return {
            "name": "files",
            "files": [describe_file(file) for file in list_files(self.config.paths)[0]],
            "symbols": None if self.config.symbols is None else list(self.config.symbols),
            "metrics": None if self.config.metrics is None else list(self.config.metrics),
            **{name: [describe_file(file) for file in list_files(paths)[0]] for name, paths in dated.items() if paths},
        }


def _left_out(
    histories: Sequence[History], tables: Sequence[TableFile], asked_for: Sequence[str] | None
) -> dict[str, str]:
    ordered = ((history.metrics, history.rows.sort(FILE, ROW)) for history in histories if history.metrics)
    candidates = ((metric, lambda rows=rows: rows) for metrics, rows in ordered for metric in metrics)
    return find_left_out(candidates, tables, asked_for)
