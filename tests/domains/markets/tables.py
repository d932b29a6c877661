"""Tables for the tests: simulated ones, and small ones made by hand."""

import datetime as dt
from collections.abc import Sequence
from functools import cache

import polars as pl

from cortex.domains.markets.closing import day_of
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


def dated(table: pl.DataFrame) -> pl.DataFrame:
    """A table of UTC days as a file has it: with the date of each in place of its closing time."""
    days = table.with_columns(day_of().alias("date"))
    return days.select("date" if name == "time" else name for name in table.columns)


def simulate(config: DataConfig, seed: int) -> MarketTables:
    assert isinstance(config.source, SimulatorConfig)
    simulator = Simulator(config.source, config.horizon.count, config.onchain_lag_days, config.window, seed)
    return simulator.load()


def closed(day: dt.date) -> dt.datetime:
    """The time at which a UTC day closes."""
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC)


def closed_on(start: dt.date, days: int) -> pl.Series:
    """The closing times of consecutive UTC days."""
    last = closed(start + dt.timedelta(days=days - 1))
    return pl.datetime_range(closed(start), last, "1d", time_unit="us", eager=True).alias("time")


def bars(closes: Sequence[float], symbol: str = "NEAR", start: dt.date = START) -> pl.DataFrame:
    """Flat daily bars at these closes."""
    return pl.DataFrame({"symbol": symbol, "close": [float(close) for close in closes]}).select(
        "symbol",
        closed_on(start, len(closes)),
        *(pl.col("close").alias(price) for price in ("open", "high", "low", "close")),
    )


def metric(values: Sequence[float | None], symbol: str = "NEAR", start: dt.date = START) -> pl.DataFrame:
    """One daily metric, `active`."""
    times = closed_on(start, len(values))
    return pl.DataFrame({"symbol": symbol, "time": times, "active": pl.Series(values, dtype=pl.Float64)})


def render_all(table: pl.DataFrame, features: list[Feature], config: DataConfig) -> pl.Series:
    """A prompt that shows every feature to the last bit."""
    shown = [pl.col(feature.name).cast(pl.String) for feature in features]
    return table.select(
        pl.concat_str("symbol", day_of().cast(pl.String), pl.lit(str(config.horizon.count)), *shown, separator=" ")
    ).to_series()


def markets_of(profile: Profile) -> Markets:
    """The markets domain of a profile that has it."""
    assert isinstance(profile.domain, Markets)
    return profile.domain
