"""The warehouse's tables, made from a market's daily bars: hourly prices and metrics that give those bars again."""

import polars as pl

from cortex.domains.markets.closing import day_of
from cortex.domains.markets.live.assets import NATIVES, TOKENS, Asset
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.warehouse.sql_engine import Engine
from cortex.errors import DataError

PRICES = "crosschain.price.ez_prices_hourly"

_HIGH, _LOW, _IMPUTED = 7, 16, 11
"""Hours of a day at which a simulated price is highest and lowest, and one whose price the service made up."""

_ACTIVE = {"near": "unique_from_count", "ethereum": "unique_from_count", "solana": "unique_signers_count"}
_AMOUNT = {"near": "amount_in_usd", "ethereum": "amount_in_usd", "solana": "swap_from_amount_usd"}


def fill(engine: Engine, tables: MarketTables, simulated: bool) -> None:
    """Make the tables of daily bars. Simulated assets take the names of Flipside's in their order; files' keep theirs.

    A bar's open, high, low and close are prices of four of its hours, and a filled-in hour stands among them. Metrics
    are named as the SQL names them, or take what the simulator has in their place.

    Raises DataError where the tables hold none of the assets that the SQL asks for.
    """
    named = _named(tables.prices["symbol"].unique().sort().to_list(), simulated)
    if not named:
        raise DataError(
            "the warehouse's files hold none of the assets that live sources know: name them NEAR, ETH, SOL"
        )
    assets = pl.DataFrame(
        [(symbol, asset.symbol, asset.chain, asset.address, asset.address is None) for symbol, asset in named.items()],
        schema={
            "own": pl.String,
            "symbol": pl.String,
            "blockchain": pl.String,
            "token_address": pl.String,
            "is_native": pl.Boolean,
        },
        orient="row",
    )
    engine.add(PRICES, _hourly_prices(tables.prices, assets))
    for symbol, asset in named.items():
        if asset.address is None:
            _add_metrics(engine, tables, symbol, asset.chain)


def _named(symbols: list[str], simulated: bool) -> dict[str, Asset]:
    """The asset that each of the tables' symbols stands for."""
    if simulated:
        return dict(zip(symbols, NATIVES + TOKENS, strict=False))
    known = {asset.symbol: asset for asset in NATIVES + TOKENS}
    return {symbol: known[symbol] for symbol in symbols if symbol in known}


def _hourly_prices(prices: pl.DataFrame, assets: pl.DataFrame) -> pl.DataFrame:
    hours = pl.DataFrame({"of_day": list(range(24))}, schema={"of_day": pl.Int64})
    at = pl.col("of_day")
    price = (
        pl.when(at == _HIGH)
        .then("high")
        .when(at == _LOW)
        .then("low")
        .when(at == _IMPUTED)
        .then(pl.col("high") * 2)  # whoever takes it for a price finds a day's high doubled
        .when(at < _HIGH)
        .then("open")
        .otherwise("close")
    )
    start = day_of().cast(pl.Datetime("us"))
    rows = prices.rename({"symbol": "own"}).join(assets, on="own").join(hours, how="cross")
    hour = (start + pl.duration(hours=at)).alias("hour")
    return rows.select(
        hour,
        "token_address",
        "symbol",
        "blockchain",
        price.alias("price"),
        "is_native",
        (at == _IMPUTED).alias("is_imputed"),
        (hour + pl.duration(hours=1)).alias("inserted_timestamp"),
        (hour + pl.duration(hours=1)).alias("modified_timestamp"),
    ).sort("hour", "symbol")


def _add_metrics(engine: Engine, tables: MarketTables, symbol: str, chain: str) -> None:
    """A chain's core metrics, one row a day, and its swaps."""
    days = (
        tables.prices.filter(symbol=symbol).select("time")
        if tables.onchain is None
        else tables.onchain.filter(symbol=symbol)
    )
    start = day_of().cast(pl.Datetime("us")).alias("block_timestamp_hour")
    known = (pl.col("block_timestamp_hour") + pl.duration(days=1)).alias("inserted_timestamp")
    rows = days.select(
        start,
        _metric(days, "active").alias(_ACTIVE[chain]),
        _metric(days, "transactions", "whales").alias("transaction_count"),
        _metric(days, "fees").alias("total_fees_native"),
    ).with_columns(known, known.alias("modified_timestamp"))
    engine.add(f"{chain}.stats.ez_core_metrics_hourly", rows)
    swaps = days.select(start.alias("block_timestamp"), _metric(days, "swaps", "stables").alias(_AMOUNT[chain]))
    engine.add(f"{chain}.defi.ez_dex_swaps", swaps)


def _metric(days: pl.DataFrame, *names: str) -> pl.Expr:
    name = next((name for name in names if name in days.columns), None)
    return pl.lit(None, pl.Float64) if name is None else pl.col(name).cast(pl.Float64)
