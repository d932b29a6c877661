"""A user's own files as a source: prices, and on-chain metrics beside them or in files of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from cortex.domains.markets.joined_files import History, join_onchain, join_parts, join_prices, note_joined
from cortex.domains.markets.partition import partition
from cortex.domains.markets.source import MarketTables, Pieces, one_piece
from cortex.domains.markets.symbols import find_symbols, symbol_of
from cortex.domains.markets.table_file import TableFile, column_name, read_table


@dataclass(frozen=True)
class FilesSource:
    """A `Source` of parquet and CSV files: see `cortex.domains.markets.table_file` for what they may hold."""

    config: FilesConfig

    def load(self) -> MarketTables:
        """All files as one set of tables. Raises DataError, naming the file, the value and the fix."""
        files, notes = list_files(self.config.paths)
        tables = [read_table(file, symbol_of(stem_of(file)), number) for number, file in enumerate(files)]
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
        return MarketTables(prices, onchain, account=account, zone=zone, origins=origins)

    def pieces(self, workspace: Workspace) -> Pieces:
        files, notes = list_files(self.config.paths)
        # Other bars are checked against the first row's grid, wherever that row is.
        parts = partition(files, workspace) if self.config.bars == "days" and self.config.zone is None else None
        if parts is None:
            return one_piece(self.load())
        pieces = FilePieces(self.config, parts, notes)
        return Pieces(pieces.tables(), pieces.account, pieces.origins, parts.count)

    def describe(self) -> dict[str, object]:
        return {
            "name": "files",
            "files": [describe_file(file) for file in list_files(self.config.paths)[0]],
            "symbols": None if self.config.symbols is None else list(self.config.symbols),
            "metrics": None if self.config.metrics is None else list(self.config.metrics),
        }


def _left_out(
    histories: Sequence[History], tables: Sequence[TableFile], asked_for: Sequence[str] | None
) -> dict[str, str]:
    ordered = ((history.metrics, history.rows.sort(FILE, ROW)) for history in histories if history.metrics)
    candidates = ((metric, lambda rows=rows: rows) for metrics, rows in ordered for metric in metrics)
    return find_left_out(candidates, tables, asked_for)
