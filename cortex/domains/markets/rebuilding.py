"""A market's examples built again from tables in memory, whose future may be changed."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from cortex.domains.audit_view import Tampering
from cortex.domains.domain import Workspace
from cortex.domains.markets.build import build_from
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.source import MarketTables, Pieces
from cortex.domains.markets.sources import open_source
from cortex.domains.markets.tampering import tamper
from cortex.settings import Settings


@dataclass(frozen=True)
class _Stored:
    """A `Source` of tables that were loaded before."""

    tables: Sequence[MarketTables]

    def load(self) -> MarketTables:
        (tables,) = self.tables
        return tables

    def pieces(self, workspace: Workspace) -> Pieces:
        return Pieces(iter(self.tables), count=len(self.tables))

    def describe(self) -> dict[str, object]:
        return {"name": "stored"}


@dataclass(frozen=True)
class MarketRebuilds:
    """Builds the examples of a market again, by the code that built them."""

    tables: Sequence[MarketTables]
    config: DataConfig
    style: Style

    @property
    def words(self) -> str:
        count = sum(each.prices["symbol"].n_unique() for each in self.tables)
        return "1 symbol" if count == 1 else f"{count:,} symbols"

    def examples(self, cut: dt.datetime | None, how: Tampering, seed: int) -> pl.DataFrame:
        tables = self.tables
        if cut is not None:
            lag = self.config.onchain_lag_days
            tables = [tamper(each, cut, how, seed + number, lag) for number, each in enumerate(tables)]
        return pl.concat(build_from(_Stored(tables), self.config, self.style, Workspace()).frames)


def load_rebuilds(
    config: DataConfig, style: Style, seed: int, settings: Settings, workspace: Workspace, rows: int
) -> MarketRebuilds:
    """Load the sources' first symbols, as many as so many rows hold, about. Raises as `build`."""
    pieces = open_source(config, seed=seed, settings=settings).pieces(workspace)
    return MarketRebuilds(list(_first(pieces.tables, rows)), config, style)


def _first(pieces: Iterator[MarketTables], rows: int) -> Iterator[MarketTables]:
    left = rows
    for tables in pieces:
        counts = tables.prices.group_by("symbol", maintain_order=True).len()
        fit = counts.filter((pl.col("len").cum_sum() <= left) | (pl.int_range(pl.len()) == 0))
        yield tables if fit.height == counts.height else tables.of_symbols(fit["symbol"].to_list())
        left -= tables.prices.height
        if left <= 0:
            return
