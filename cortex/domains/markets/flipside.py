"""Flipside as a source: daily prices and chain metrics, queried through its SDK.

Daily prices are computed from hourly ones, without those that Flipside imputed, and metrics from each chain's hourly
core metrics, whose tables the account of the API key must be allowed to read.
"""

import importlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl
from pydantic import SecretStr

from cortex.domains.domain import Workspace
from cortex.domains.markets.checks import check_metrics, check_order, check_prices
from cortex.domains.markets.closing import day_closed
from cortex.domains.markets.config import FlipsideConfig
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables, Pieces, one_piece
from cortex.errors import ConfigError, DataError

PAGE_ROWS = 10_000


class _Chain(NamedTuple):
    symbol: str
    active: str


_CHAINS = {
    "near": _Chain("NEAR", "unique_from_count"),
    "ethereum": _Chain("ETH", "unique_from_count"),
    "solana": _Chain("SOL", "unique_signers_count"),
}

_PRICES_SQL = """
select to_char(hour, 'YYYY-MM-DD') as date,
  min_by(price, hour) as open, max(price) as high, min(price) as low, max_by(price, hour) as close
from crosschain.price.ez_prices_hourly
where symbol = '{symbol}' and is_native and not is_imputed and hour >= '{start}' and hour < {end}
group by 1 order by 1
"""

_METRICS_SQL = """
select to_char(block_timestamp_hour, 'YYYY-MM-DD') as date,
  avg({active}) as active, sum(transaction_count) as transactions, sum(total_fees_native) as fees
from {chain}.stats.ez_core_metrics_hourly
where block_timestamp_hour >= '{start}' and block_timestamp_hour < {end}
group by 1 order by 1
"""


@dataclass(frozen=True)
class FlipsideSource:
    """A `Source` that queries Flipside."""

    config: FlipsideConfig
    api_key: SecretStr

    def load(self) -> MarketTables:
        """Both tables, by one query for each chain. Raises ConfigError without the SDK, DataError for unusable data."""
        client = self._client()
        prices = pl.concat([self._ask(client, _PRICES_SQL, chain) for chain in self.config.chains])
        onchain = pl.concat([self._ask(client, _METRICS_SQL, chain) for chain in self.config.chains])
        for table in (prices, onchain):
            check_order(table.with_columns(time=pl.col("date").cast(pl.Datetime("us"))), "flipside")
        check_prices(prices, "flipside")
        check_metrics(onchain, onchain.columns[2:], "flipside")
        prices, onchain = (
            table.with_columns(day_closed().alias("time")).drop("date").sort("symbol", "time")
            for table in (prices, onchain)
        )
        return MarketTables(prices.select(*PRICE_SCHEMA), onchain.select("symbol", "time", *onchain.columns[1:-1]))

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self.load())

    def describe(self) -> dict[str, object]:
        return {"name": "flipside", **self.config.model_dump(mode="json", exclude={"kind"})}

    def _client(self) -> Any:
        try:
            sdk = importlib.import_module("flipside")
        except ModuleNotFoundError as error:
            raise ConfigError("the flipside SDK is not installed here: run the data stage in the data image") from error
        return sdk.Flipside(self.api_key.get_secret_value())

    def _ask(self, client: Any, sql: str, chain: str) -> pl.DataFrame:
        """All pages of the answer to `sql` for one chain: symbol, date, and Float64 columns."""
        end = "current_date" if self.config.end is None else f"'{self.config.end}'"
        symbol, active = _CHAINS[chain]
        answer = client.query(
            sql.format(chain=chain, symbol=symbol, active=active, start=self.config.start, end=end),
            page_size=PAGE_ROWS,
        )
        rows = list(answer.records or [])
        for page in range(2, (answer.page.totalPages if answer.page else 1) + 1):
            rows += client.get_query_results(answer.query_id, page_number=page, page_size=PAGE_ROWS).records or []
        if not rows:
            raise DataError(f"flipside has no rows of {chain} from {self.config.start} on: choose another start")
        table = pl.DataFrame(rows, infer_schema_length=None).drop("__row_index", strict=False)
        return table.select(
            pl.lit(symbol).alias("symbol"),
            pl.col("date").str.to_date("%Y-%m-%d"),
            pl.exclude("date").cast(pl.Float64),
        )
