"""A user's files in pieces: the tables of some symbols at a time, read, checked and joined as all files are at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from cortex.domains.markets.account import Account
from cortex.domains.markets.checks import FILE, ROW, is_newest_first
from cortex.domains.markets.closing import CLOSED
from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.daily import note_parts
from cortex.domains.markets.file_checks import (
    check_coverage,
    check_rows,
    find_left_out,
    find_origins,
    judged,
    keep_symbols,
)
from cortex.domains.markets.joined_files import (
    group_alike,
    join_onchain,
    join_parts,
    join_prices,
    joined_name,
    note_joined,
)
from cortex.domains.markets.partition import Partition
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables
from cortex.domains.markets.symbols import find_symbols
from cortex.domains.markets.table_file import TableFile, column_name
from cortex.errors import DataError


@dataclass
class FilePieces:
    """Files partitioned by symbol."""

    config: FilesConfig
    partition: Partition
    notes: tuple[str, ...]
    """Notes on files that were not read."""
    _left_out: dict[str, str] = field(default_factory=dict[str, str])
    _parts: dict[str, list[pl.DataFrame]] = field(default_factory=dict[str, list[pl.DataFrame]])
    """The days that were left out of each history."""
    _orders: dict[str, bool] = field(default_factory=dict[str, bool])
    """True for files that list the newest row first."""
    _origins: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])

    def tables(self) -> Iterator[MarketTables]:
        """The tables of each piece. Raises DataError as `FilesSource.load`."""
        self._left_out = find_left_out(self._candidates(), self.partition.headers, self.config.metrics)
        symbols, metrics = self._symbols(), self._metrics()
        priced: list[pl.DataFrame] = []
        known: list[pl.DataFrame] = []
        covered = True
        for piece in range(self.partition.count):
            prices, onchain = self._load(piece)
            if symbols is not None:
                prices = prices.filter(pl.col("symbol").is_in(symbols))
                onchain = None if onchain is None else onchain.filter(pl.col("symbol").is_in(symbols))
            if not metrics:
                if prices.height:
                    yield MarketTables(prices)
                continue
            onchain = _with_columns(onchain, metrics)
            priced.append(prices.select("symbol").unique())
            known.append(onchain.group_by("symbol").agg(pl.lit(None, CLOSED).alias("time"), *_any_value(metrics)))
            covered = covered and _covers(prices, onchain)
            if covered and prices.height:
                yield MarketTables(prices, onchain)
        if metrics:
            check_coverage(pl.concat(priced), pl.concat(known))

    def account(self) -> Account:
        """The account of all files; to be called after the last piece."""
        tables = self.partition.headers
        return Account(
            tuple(judged(column, self._left_out) for table in tables for column in table.columns),
            (
                *self.notes,
                *(f"{table.name}: {note}" for table in tables for note in table.notes),
                *self.partition.notes,
                *note_joined(tables),
                *(note for name, parts in self._parts.items() for note in note_parts(pl.concat(parts), name)),
            ),
        )

    def origins(self) -> pl.DataFrame:
        """The origins of all rows; to be called after the last piece."""
        return pl.concat(self._origins)

    def _candidates(self) -> Iterator[tuple[str, "_History"]]:
        for tables in group_alike(self.partition.headers):
            for metric in tables[0].metrics:
                yield metric, _History(self.partition, tables, metric)

    def _symbols(self) -> list[str] | None:
        """The symbols to keep; None for all."""
        if self.config.symbols is None:
            return None
        rows = pl.concat([table.rows for table in self.partition.headers if table.prices] or [_no_symbols()])
        symbols = find_symbols(self.config.symbols, rows["symbol"].unique().to_list())
        keep_symbols(rows, symbols)
        return symbols

    def _metrics(self) -> list[str]:
        """The metrics of all files, in their order."""
        if self.config.metrics is not None:
            return [column_name(metric) for metric in self.config.metrics]
        alike = group_alike(self.partition.headers)
        return list(
            dict.fromkeys(metric for tables in alike for metric in tables[0].metrics if metric not in self._left_out)
        )

    def _load(self, piece: int) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Prices and metrics of a piece."""
        names = {table.name: joined_name(tables) for tables in group_alike(self.partition.headers) for table in tables}
        taken = (self.partition.take(number, piece) for number in range(len(self.partition.files)))
        tables = [table for table in taken if table]
        for table in tables:
            self._check(table)
            self._origins.append(find_origins(table, self._left_out))
        bars: list[tuple[str, pl.DataFrame]] = []
        for history, parts in zip(join_parts(tables), group_alike(tables), strict=True):
            name = names[parts[0].name]
            days = replace(history, name=name).to_bars(self._left_out, "days")
            if days.left_out is not None:
                self._parts.setdefault(name, []).append(days.left_out)
            bars.append((name, days.table))
        has_prices = any(table.prices for table in tables) or not any(table.prices for table in self.partition.headers)
        prices = join_prices(bars) if has_prices else pl.DataFrame(schema=PRICE_SCHEMA)
        return prices, join_onchain([table for _, table in bars])

    def _check(self, table: TableFile) -> None:
        newest_first = is_newest_first(table.rows)
        one_each = table.rows["symbol"].is_duplicated().any()
        check_rows(table)
        if one_each and self._orders.setdefault(table.name, newest_first) != newest_first:
            raise DataError(
                f"{table.name}: lists some symbols oldest first and others newest first: sort the rows by date"
            )


@dataclass(frozen=True)
class _History:
    """The rows of a history with one metric, read when they are asked for."""

    partition: Partition
    tables: Sequence[TableFile]
    metric: str

    def __call__(self) -> pl.DataFrame:
        alike = {table.name for table in self.tables}
        files = [file for file in self.partition.files if file.path.name in alike]
        rows = [file.column_rows(self.metric, self.partition.names) for file in files]
        return pl.concat([part.select(rows[0].columns) for part in rows]).sort(FILE, ROW)


def _with_columns(onchain: pl.DataFrame | None, metrics: Sequence[str]) -> pl.DataFrame:
    """Metrics in their order, null where a piece has none."""
    empty = pl.DataFrame(schema={"symbol": pl.String(), "time": CLOSED, **dict.fromkeys(metrics, pl.Float64())})
    return empty if onchain is None else pl.concat([empty, onchain], how="diagonal").select(empty.columns)


def _any_value(metrics: Sequence[str]) -> list[pl.Expr]:
    return [pl.col(metric).drop_nulls().first() for metric in metrics]


def _covers(prices: pl.DataFrame, onchain: pl.DataFrame) -> bool:
    try:
        check_coverage(prices, onchain)
    except DataError:
        return False  # said once all pieces are counted
    return True


def _no_symbols() -> pl.DataFrame:
    return pl.DataFrame(schema={"symbol": pl.String(), "rows": pl.Int64()})
