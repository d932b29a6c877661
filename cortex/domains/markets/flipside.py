"""Flipside as a source: daily prices and chain metrics, pulled through its SDK and kept on this machine.

Daily prices are computed from hourly ones, without those that Flipside imputed, and metrics from each chain's hourly
core metrics, whose tables the account of the API key must be allowed to read. The SQL is in `sql/`.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import SecretStr

from cortex.domains.domain import OnProgress, Workspace, ignore_progress
from cortex.domains.markets.account import Account, shortened
from cortex.domains.markets.checks import check_metrics, check_order, check_prices
from cortex.domains.markets.closing import day_closed
from cortex.domains.markets.config import FlipsideConfig, SimulatorConfig
from cortex.domains.markets.live.assets import Asset, assets_of
from cortex.domains.markets.live.client_import import import_client
from cortex.domains.markets.live.pull import Pulled, Puller
from cortex.domains.markets.live.request_pace import Pace
from cortex.domains.markets.live.statement import Statement, read_statement
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables, Pieces, Source, one_piece
from cortex.errors import DataError

_PRICES = {"asset": pl.String(), "date": pl.String(), **dict.fromkeys(("open", "high", "low", "close"), pl.Float64())}
_UNSAID = {"kind", "warehouse", "without_key", "at_once", "requests_a_minute"}
"""Keys that do not change the rows, or are described by themselves."""
_CORE = ("active", "transactions", "fees")


@dataclass(frozen=True)
class FlipsideSource:
    """A `Source` that queries Flipside, or a local warehouse in its place."""

    config: FlipsideConfig
    api_key: SecretStr | None
    """The service's key; None with a warehouse."""
    folder: Path
    """The folder of pulls: an answer that is there is not asked for again."""
    today: dt.date
    """The current date in UTC."""
    filling: Source | None = None
    """The source that fills the warehouse."""
    fresh: bool = False
    """Ask anew for what is kept."""
    pulls: list[Pulled] = field(default_factory=list[Pulled], compare=False)
    """Pulls of the last load."""

    def load(self) -> MarketTables:
        """Prices and metrics. Raises ConfigError without the SDK, DataError for unusable data."""
        return self._load(ignore_progress)

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self._load(workspace.on_progress))

    def describe(self) -> dict[str, object]:
        """After a load, with the hash of each pull."""
        warehouse = {} if self.filling is None else {"warehouse": self.filling.describe()}
        return {
            "name": "flipside",
            "made_by": "a local warehouse" if self.filling else "flipside",
            **self.config.model_dump(mode="json", exclude=_UNSAID),
            **warehouse,
            "pulls": {pulled.folder.name: pulled.digest for pulled in self.pulls},
        }

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The assets that are asked for."""
        return assets_of(self.config.chains, self.config.tokens)

    def statements(self) -> dict[str, Statement]:
        """All statements by name: prices, and each chain's metrics."""
        span = {"start": self.config.start, "end": self.config.end or self.today}
        natives = tuple(asset.key for asset in self.assets if asset.address is None)
        tokens = tuple(asset.key for asset in self.assets if asset.address is not None)
        prices = read_statement("crosschain_prices", _PRICES, natives=natives, tokens=tokens, **span)
        found = {"prices": prices}
        for chain in self.config.chains:
            if set(self.config.metrics) & set(_CORE):
                core = {"date": pl.String(), **dict.fromkeys(_CORE, pl.Float64())}
                found[f"{chain} metrics"] = read_statement(f"{chain}_metrics", core, **span)
            if "swaps" in self.config.metrics:
                swaps = {"date": pl.String(), "swaps": pl.Float64()}
                found[f"{chain} swaps"] = read_statement(f"{chain}_swaps", swaps, **span)
        return found

    def _load(self, on_progress: OnProgress) -> MarketTables:
        self.pulls.clear()
        with self._client() as (client, service):
            pace = Pace(self.config.requests_a_minute)
            puller = Puller(client, service, self.folder, self.config.at_once, pace, on_progress)
            pulled = {name: puller.pull(each, self.fresh) for name, each in self.statements().items()}
        self.pulls.extend(pulled.values())
        prices = self._prices(pulled["prices"].table())
        onchain = self._metrics(pulled) if self.config.metrics else None
        held = set(prices["symbol"])
        absent = [asset.symbol for asset in self.assets if asset.symbol not in held]
        notes = (f"flipside has no prices of {shortened(absent)} in these days",) if absent else ()
        return MarketTables(prices, onchain, account=Account((), notes))

    def _prices(self, rows: pl.DataFrame) -> pl.DataFrame:
        for chain in self.config.chains:
            coin = assets_of((chain,), tokens=False)[0]
            if not rows["asset"].is_in([coin.key]).any():
                raise DataError(f"flipside has no rows of {chain} from {self.config.start} on: choose another start")
        symbols = pl.DataFrame([(asset.key, asset.symbol) for asset in self.assets], ("asset", "symbol"), orient="row")
        prices = _with_time(rows.join(symbols, on="asset", maintain_order="left"))
        check_prices(prices, "flipside")
        return prices.sort("symbol", "time").select(*PRICE_SCHEMA)

    def _metrics(self, pulled: dict[str, Pulled]) -> pl.DataFrame:
        """The metrics of each asset's chain: symbol, time, and those that the profile names."""
        tables: list[pl.DataFrame] = []
        for chain in self.config.chains:
            of_chain = [found.table() for name, found in pulled.items() if name.startswith(f"{chain} ")]
            rows = reduce(lambda one, other: one.join(other, on="date", how="full", coalesce=True), of_chain)
            if rows.is_empty():
                raise DataError(
                    f"flipside has no metrics of {chain} from {self.config.start} on: choose another start, or metrics"
                )
            symbols = [asset.symbol for asset in self.assets if asset.chain == chain]
            tables.append(rows.sort("date").join(pl.DataFrame({"symbol": symbols}), how="cross").sort("symbol", "date"))
        onchain = _with_time(pl.concat(tables))
        check_metrics(onchain, self.config.metrics, "flipside")
        return onchain.sort("symbol", "time").select("symbol", "time", *self.config.metrics)

    @contextmanager
    def _client(self) -> Iterator[tuple[Any, str]]:
        """A client, and the name of what it asks, which the pulls' keys hold."""
        made = import_client("cortex.domains.markets.live.flipside_client").FlipsideClient
        if self.filling is None:
            assert self.api_key is not None
            yield made(self.api_key.get_secret_value()), "flipside"
            return
        local = import_client("cortex.domains.markets.warehouse.local")
        simulated = isinstance(self.config.warehouse, SimulatorConfig)
        described = json.dumps(self.filling.describe(), sort_keys=True, default=str)
        with local.local_warehouse(self.filling, simulated=simulated) as server:
            filled = hashlib.sha256(described.encode()).hexdigest()
            yield made(local.KEY, server.url, poll_seconds=0.02), f"the local warehouse {filled}"


def _with_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `time`, when their day closed. Raises DataError for a date that is none, and for repeated days."""
    days = rows.with_columns(pl.col("date").str.to_date("%Y-%m-%d", strict=False).alias("day"))
    unread = days.filter(pl.col("day").is_null())
    if unread.height:
        raise DataError(f"flipside sent the date {unread['date'][0]!r}: expected YYYY-MM-DD")
    check_order(days.with_columns(time=pl.col("day").cast(pl.Datetime("us"))).sort("symbol", "time"), "flipside")
    return days.with_columns(day_closed("day").alias("time"))
