"""Protocol of all sources of market data: they give tables of bars, and an account of their origin."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Account
from cortex.domains.markets.closing import CLOSED

KNOWN_AT = "known_at"
"""The column of the time from which a row was known, where a source says it."""

PRICE_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "time": CLOSED,
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
}

_KEYS = ("symbol", "time", KNOWN_AT)


@dataclass(frozen=True)
class MarketTables:
    """Tables of bars, sorted by symbol and time, with one row for each pair. `time` is when a bar closed, in UTC."""

    prices: pl.DataFrame
    """Columns: `PRICE_SCHEMA`. Prices are positive and finite."""

    onchain: pl.DataFrame | None = None
    """symbol, time and one Float64 column a metric; nulls where a metric has no value."""

    oracle: pl.DataFrame | None = None
    """symbol, time, p_up, expected_return (a fraction): the best forecast at that bar's close, where it is known."""

    account: Account | None = None
    """Account of how a user's files were read; None for tables that do not come from files."""

    zone: str | None = None
    """The time zone by which daily bars close at the same hour, where that is not UTC."""

    origins: pl.DataFrame | None = None
    """The rows of each file, as of `contributions.ORIGINS`; None for tables that do not come from files."""

    vintages: pl.DataFrame | None = None
    """symbol, time, known_at (UTC) and one Float64 column a metric: each row counts from `known_at` on, and revises the
    one of the same symbol and time that was known before it. Sorted by symbol, known_at and time."""

    news: pl.DataFrame | None = None
    """symbol (null where a text concerns all), time (UTC) from which it was known, and text; sorted by time."""

    @property
    def metrics(self) -> list[str]:
        """The names of the on-chain metrics, and of those that are revised."""
        tables = [table for table in (self.onchain, self.vintages) if table is not None]
        return [column for table in tables for column in table.columns if column not in _KEYS]

    def of_symbols(self, symbols: Sequence[str]) -> "MarketTables":
        """The rows of some symbols, and the news that concern all."""
        own = pl.col("symbol").is_in(symbols)
        return replace(
            self,
            prices=self.prices.filter(own),
            onchain=None if self.onchain is None else self.onchain.filter(own),
            vintages=None if self.vintages is None else self.vintages.filter(own),
            news=None if self.news is None else self.news.filter(own | pl.col("symbol").is_null()),
            oracle=None if self.oracle is None else self.oracle.filter(own),
        )


@dataclass(frozen=True)
class Pieces:
    """A market's tables in pieces: each holds the whole histories of some symbols, in the order of their names."""

    tables: Iterator[MarketTables]
    """To be drawn once. Raises DataError where the tables cannot be used."""
    account: Callable[[], Account | None] = lambda: None
    """The account of all pieces; called after the last."""
    origins: Callable[[], pl.DataFrame | None] = lambda: None
    """The origins of all pieces' rows; called after the last."""
    count: int = 1


class Source(Protocol):
    """A source of market data."""

    def load(self) -> MarketTables:
        """The tables. Raises DataError where they cannot be used."""
        ...

    def pieces(self, workspace: Workspace) -> Pieces:
        """The same tables in pieces. Raises DataError where they cannot be used."""
        ...

    def describe(self) -> dict[str, object]:
        """Name, parameters and hashes, for a manifest's provenance: JSON values only, no paths of this machine."""
        ...


def one_piece(tables: MarketTables) -> Pieces:
    """Tables that are in memory."""
    return Pieces(iter((tables,)), lambda: tables.account, lambda: tables.origins)
