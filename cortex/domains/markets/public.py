"""Public services as a source, without an account: an exchange's candles, and DefiLlama's series of coins' chains."""

import datetime as dt
import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cortex.domains.domain import OnProgress, Workspace, ignore_progress
from cortex.domains.markets.account import Account, shortened
from cortex.domains.markets.checks import check_metrics, check_prices
from cortex.domains.markets.closing import day_closed
from cortex.domains.markets.config import PublicConfig
from cortex.domains.markets.live.client_import import import_client
from cortex.domains.markets.live.kept import Kept
from cortex.domains.markets.live.later import WAITS
from cortex.domains.markets.live.public_assets import CHAIN_OF
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables, Pieces, one_piece
from cortex.errors import DataError


@dataclass(frozen=True)
class PublicSource:
    """A `Source` that asks ccxt and DefiLlama's SDK."""

    config: PublicConfig
    kept: Kept
    """The folder of what was answered; a series that is there is not asked for again."""
    today: dt.date
    """The current date in UTC."""
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    """Addresses in place of the services' own: `exchange` and `llama`."""
    waits: tuple[float, ...] = WAITS
    """Seconds before each further attempt."""

    def load(self) -> MarketTables:
        """Prices and metrics. Raises ConfigError without the clients, DataError for unusable data."""
        return self._load(ignore_progress)

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self._load(workspace.on_progress))

    def describe(self) -> dict[str, object]:
        """After a load, with the hash of each series."""
        return {
            "name": "public",
            "made_by": f"{self.config.exchange} by ccxt" + (" and defillama" if self.config.metrics else ""),
            "packages": [f"{name} {importlib.metadata.version(name)}" for name in ("ccxt", "defillama-sdk")],
            **self.config.model_dump(mode="json", exclude={"kind"}),
            "pulls": dict(sorted(self.kept.digests.items())),
        }

    def _load(self, on_progress: OnProgress) -> MarketTables:
        self.kept.digests.clear()
        prices, absent = self._prices(on_progress)
        check_prices(prices, self.config.exchange)
        notes = [f"not listed by {self.config.exchange} for {self.config.quote}: {shortened(absent)}"] if absent else []
        onchain = None
        if self.config.metrics:
            onchain, missing = self._metrics(prices["symbol"].unique().sort().to_list(), on_progress)
            check_metrics(onchain, self.config.metrics, "defillama")
            notes += [f"defillama has no {metric} of {shortened(chains)}" for metric, chains in missing.items()]
        return MarketTables(prices, onchain, account=Account((), tuple(notes)))

    def _prices(self, on_progress: OnProgress) -> tuple[pl.DataFrame, list[str]]:
        """Bars of all assets, and the assets that the exchange does not list."""
        client = import_client("cortex.domains.markets.live.candles").CandleClient(
            self.config.exchange, self.addresses.get("exchange"), self.waits
        )
        start, end = self.config.start, self.config.end or self.today
        tables: list[pl.DataFrame] = []
        absent: list[str] = []
        for number, asset in enumerate(self.config.assets):
            on_progress("prices", number, len(self.config.assets))
            pair = f"{asset}/{self.config.quote}"
            question = f"{self.config.exchange} {pair} {self.config.bars} {start} {end}"
            found = self.kept.series(
                f"candles-{asset}",
                question,
                lambda pair=pair: _candles(client, pair, self.config.bars, start, end),
            )
            if found.is_empty():
                absent.append(asset)
            else:
                tables.append(found.select(pl.lit(asset).alias("symbol"), *list(PRICE_SCHEMA)[1:]))
        if not tables:
            raise DataError(
                f"{self.config.exchange} has no prices of {shortened(absent)} in {self.config.quote} from {start} on: "
                "name other assets, another quote or another exchange"
            )
        return pl.concat(tables).sort("symbol", "time"), absent

    def _metrics(self, symbols: list[str], on_progress: OnProgress) -> tuple[pl.DataFrame, dict[str, list[str]]]:
        """symbol, time and a column a metric; and the chains that DefiLlama does not have a metric of."""
        client = import_client("cortex.domains.markets.live.llama").LlamaClient(self.addresses.get("llama"), self.waits)
        start, end = self.config.start, self.config.end or self.today
        missing: dict[str, list[str]] = {}
        tables: list[pl.DataFrame] = []
        for number, symbol in enumerate(symbols):
            on_progress("metrics", number, len(symbols))
            days = pl.select(pl.date_range(start, end, closed="left").alias("date"))
            for metric in self.config.metrics:
                chain = CHAIN_OF.get(symbol)
                ask = _series(client, metric, chain, start, end)
                found = self.kept.series(f"{metric}-{symbol}", f"defillama {metric} {chain} {start} {end}", ask)
                if found.is_empty():
                    missing.setdefault(metric, []).append(chain or symbol)
                days = days.join(found.rename({"value": metric}), on="date", how="left", maintain_order="left")
            known = days.filter(pl.any_horizontal(pl.col(self.config.metrics).is_not_null()))
            tables.append(
                known.select(pl.lit(symbol).alias("symbol"), day_closed().alias("time"), *self.config.metrics)
            )
        return pl.concat(tables).sort("symbol", "time"), missing


def _candles(client: Any, pair: str, bars: Any, start: dt.date, end: dt.date) -> pl.DataFrame:
    if client.has(pair):
        return client.candles(pair, bars, start, end)
    return pl.DataFrame(schema={name: kind for name, kind in PRICE_SCHEMA.items() if name != "symbol"})


def _series(client: Any, metric: str, chain: str | None, start: dt.date, end: dt.date) -> Any:
    def ask() -> pl.DataFrame:
        if chain is None:
            return pl.DataFrame(schema={"date": pl.Date(), "value": pl.Float64()})
        return client.series(metric, chain, start, end)

    return ask
