"""Tables for the tests: simulated ones, and small ones made by hand."""

import datetime as dt
from collections.abc import Sequence
from functools import cache

import polars as pl

from cortex.domains.markets.config import DataConfig, SimulatorConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.features import Feature
from cortex.domains.markets.simulator import Simulator
from cortex.domains.markets.source import MarketTables
from cortex.profiles.profile import Profile

START = dt.date(2021, 1, 1)


@cache
def simulated(*, chains: int = 3, days: int = 220, horizon: int = 1, window: int = 20, lag: int = 1, seed: int = 0):
    """A small simulated market, and the configuration that its signal is planted for."""
    config = DataConfig(
        source=SimulatorConfig(chains=chains, days=days),
        horizon_days=horizon,
        onchain_lag_days=lag,
        window_days=window,
    )
    return simulate(config, seed), config


def simulate(config: DataConfig, seed: int) -> MarketTables:
    assert isinstance(config.source, SimulatorConfig)
    simulator = Simulator(config.source, config.horizon_days, config.onchain_lag_days, config.window_days, seed)
    return simulator.load()


def bars(closes: Sequence[float], symbol: str = "NEAR", start: dt.date = START) -> pl.DataFrame:
    """Flat daily bars at these closes."""
    return pl.DataFrame({"symbol": symbol, "close": [float(close) for close in closes]}).select(
        "symbol",
        pl.date_range(start, start + dt.timedelta(days=len(closes) - 1), eager=True).alias("date"),
        *(pl.col("close").alias(price) for price in ("open", "high", "low", "close")),
    )


def metric(values: Sequence[float | None], symbol: str = "NEAR", start: dt.date = START) -> pl.DataFrame:
    """One daily metric, `active`."""
    dates = pl.date_range(start, start + dt.timedelta(days=len(values) - 1), eager=True)
    return pl.DataFrame({"symbol": symbol, "date": dates, "active": pl.Series(values, dtype=pl.Float64)}).select(
        "symbol", "date", "active"
    )


def render_all(table: pl.DataFrame, features: list[Feature], horizon_days: int) -> pl.Series:
    """A prompt that shows every feature to the last bit."""
    shown = [pl.col(feature.name).cast(pl.String) for feature in features]
    return table.select(
        pl.concat_str("symbol", pl.col("date").cast(pl.String), pl.lit(str(horizon_days)), *shown, separator=" ")
    ).to_series()


def markets_of(profile: Profile) -> Markets:
    """The markets domain of a profile that has it."""
    assert isinstance(profile.domain, Markets)
    return profile.domain
