"""Features of a decision, computed only from data known when it was taken.

A decision is taken when a bar closes: of a UTC day, at 00:00 of the next. Price features use bars up to that one; a
metric counts from `onchain_lag_days` after its own bar's close. Windows count bars of a symbol's own history, which
starts afresh after a gap of more than a week.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import polars as pl

from cortex.domains.markets.bars import DAY, Bar
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.staleness import STALE_BARS, STALE_DAYS
from cortex.domains.markets.vintages import vintage_features
from cortex.errors import DataError

MONTH = 30
"""Window, in bars, of `mom30`, the realised volatility and the trailing high."""

_LABELS: Mapping[str, str] = {
    "mom7": "7-{noun} momentum",
    "mom30": "30-{noun} momentum",
    "vol": "volatility",
    "draw": "drawdown",
    "range": "typical move",
    "flow": "net exchange inflow",
    "whales": "whale accumulation",
    "active": "active addresses",
    "fees": "network fees",
    "stables": "stablecoin supply",
}

PRICE_FEATURES = ("mom7", "mom30", "vol", "draw", "range")
_RESERVED = (
    "id",
    "split",
    "cluster",
    "at",
    "messages",
    "truth",
    "outcome",
    "outcome_time",
    "oracle_p_up",
    "oracle_return",
)
_MIN_VOLATILITY = 1e-6  # a pegged coin's flat month has no volatility to divide by
_HISTORY = ("symbol", "_history")
_DAY_MICROS = 86_400_000_000

Values = TypeVar("Values", pl.Expr, pl.Series)


@dataclass(frozen=True)
class Feature:
    """One column of the feature table: `z` is in standard deviations, `pct` in percent."""

    name: str
    label: str
    unit: Literal["z", "pct"]


def level(z: Values) -> Values:
    """The whole number nearest to `z` (halves go up), clipped to -2..2, as a compact prompt shows a feature."""
    return (z + 0.5).floor().clip(-2, 2)


def label_of(name: str, bar: Bar) -> str:
    """A feature's name in words, in which windows count bars of this kind."""
    return _LABELS.get(name, name.replace("_", " ")).replace("{noun}", bar.noun)


def warmup_bars(config: DataConfig) -> int:
    """Number of bars that a symbol needs before its first complete row of features."""
    return MONTH + config.window


def build_features(tables: MarketTables, config: DataConfig) -> tuple[pl.DataFrame, list[Feature]]:
    """Every bar's features: symbol, time (of the decision, UTC) and one Float64 column a feature, in that order.

    A feature whose window is not yet full is null. Sorted by symbol and time. Price features:

    - `mom7`, `mom30`: log return over so many bars, in units of its own trailing volatility;
    - `vol`: z-score of the log of the realised volatility of 30 bars;
    - `draw`: z-score of the log distance of the close from the highest high of 30 bars;
    - `range`: realised volatility of a bar x sqrt(bars in the horizon), in percent: how large a move is usual.

    Every on-chain metric is one more feature, see `metric_features` and `vintages`. Raises DataError where a
    metric has a name that is taken.
    """
    taken = {*PRICE_FEATURES, *_RESERVED, *tables.prices.columns} & set(tables.metrics)
    if taken:
        raise DataError(f"metric name {min(taken)!r} is taken by another column of the examples: rename it in the data")
    frame = _price_features(tables.prices, config)
    if tables.onchain is not None:
        frame = metric_features(frame, tables.onchain, lag_days=config.onchain_lag_days, window=config.window)
    if tables.vintages is not None:
        frame = vintage_features(frame, tables.vintages, config.window)
    features = [_feature(name, config.bar) for name in (*PRICE_FEATURES, *tables.metrics)]
    return frame.select("symbol", "time", *(f.name for f in features)), features


def metric_features(keys: pl.DataFrame, onchain: pl.DataFrame, *, lag_days: int, window: int) -> pl.DataFrame:
    """`keys` (symbol, time, ...) with the z-score of each metric as it was known at that time.

    The z-score is of the metric's last known value against its own trailing window: of its logarithm, or of the value
    itself from the first non-positive one on. A missing value is replaced by the one before it for up to seven
    rows, and missing rows for up to a week; after that the feature is null. Sorted by symbol and time.
    """
    metrics = [c for c in onchain.columns if c not in ("symbol", "time")]
    z_scores = (
        with_history(onchain)
        .with_columns(pl.col(metrics).forward_fill(STALE_BARS).over(_HISTORY))
        .select(
            "symbol",
            pl.col("time") + dt.timedelta(days=lag_days),
            *(_metric_z(pl.col(m), window).over(_HISTORY).alias(m) for m in metrics),
        )
    )
    return (
        keys.sort("time")
        .join_asof(
            z_scores.sort("time"),
            on="time",
            by="symbol",
            strategy="backward",
            tolerance=f"{STALE_DAYS}d",
            check_sortedness=False,  # sorted just above; polars cannot see it through `by`
        )
        .sort("symbol", "time")
    )


def _price_features(prices: pl.DataFrame, config: DataConfig) -> pl.DataFrame:
    log_close = pl.col("close").log()
    volatility = pl.col("_volatility")
    return (
        with_history(prices)
        .with_columns(
            log_close.diff().rolling_std(MONTH).clip(lower_bound=_MIN_VOLATILITY).over(_HISTORY).alias("_volatility"),
            (log_close - pl.col("high").rolling_max(MONTH).log()).over(_HISTORY).alias("_drawdown"),
        )
        .select(
            "symbol",
            "time",
            (log_close.diff(7) / (volatility * 7**0.5)).over(_HISTORY).alias("mom7"),
            (log_close.diff(MONTH) / (volatility * MONTH**0.5)).over(_HISTORY).alias("mom30"),
            _z(volatility.log(), config.window).over(_HISTORY).alias("vol"),
            _z(pl.col("_drawdown"), config.window).over(_HISTORY).alias("draw"),
            (100 * volatility * _bars_in_horizon(config) ** 0.5).alias("range"),
        )
    )


def _bars_in_horizon(config: DataConfig) -> pl.Expr | float:
    """Number of bars in the horizon; for bars that are no days, by the usual distance of the last 30."""
    if config.horizon.unit == "bars" or config.bar == DAY:
        return config.horizon.count
    month = pl.col("time").diff(MONTH).over(_HISTORY).dt.total_microseconds()
    return config.horizon.count * MONTH * _DAY_MICROS / month


def with_history(table: pl.DataFrame) -> pl.DataFrame:
    """`table` sorted, with a number for each unbroken stretch of a symbol's bars."""
    gap = pl.col("time").diff().dt.total_days() > STALE_DAYS
    return table.sort("symbol", "time").with_columns(gap.fill_null(False).cum_sum().over("symbol").alias("_history"))


def _metric_z(value: pl.Expr, window: int) -> pl.Expr:
    # Only past values decide between logarithm and value. Undefined logarithms become zeros, not nulls: a null far
    # ahead would change the order in which polars sums, and so the last bits of past values.
    log = pl.when(value > 0).then(value.log()).otherwise(pl.when(value.is_not_null()).then(0.0))
    return pl.when(value.cum_min() > 0).then(_z(log, window)).otherwise(_z(value, window))


def _z(value: pl.Expr, window: int) -> pl.Expr:
    """The z-score of each value in the window that it ends: 0 where that is constant, null where it is not full."""
    constant = value.rolling_max(window) == value.rolling_min(window)
    return pl.when(constant).then(0.0).otherwise((value - value.rolling_mean(window)) / value.rolling_std(window))


def _feature(name: str, bar: Bar) -> Feature:
    return Feature(name, label_of(name, bar), "pct" if name == "range" else "z")
