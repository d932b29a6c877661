"""Protocol of all sources of market data: they give tables of bars, and an account of their origin."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Account
from cortex.domains.markets.closing import CLOSED

PRICE_SCHEMA: dict[str, pl.DataType] = {
    "symbol": pl.String(),
    "time": CLOSED,
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
}


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

    @property
    def metrics(self) -> list[str]:
        """The names of the on-chain metrics."""
        return [] if self.onchain is None else [c for c in self.onchain.columns if c not in ("symbol", "time")]


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
