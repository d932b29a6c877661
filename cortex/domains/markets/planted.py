"""A planted signal in real history: calendar and sizes of moves stay, and directions follow made-up metrics.

The next move of a symbol is up with the probability

    p = sigmoid( sum over metrics m of signal[m] * level(z_m) )

with z_m as `features.metric_features` computes it for the decision. Nothing else tells the direction, so p is the best
possible forecast. A move of exactly 0 stays 0.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from cortex.domains.markets.config import Metric
from cortex.domains.markets.features import MONTH, metric_features
from cortex.domains.markets.simulator import draw_metric, rise_probability
from cortex.domains.markets.source import MarketTables


def plant(
    tables: MarketTables, signal: Mapping[Metric, float], *, lag_days: int, window: int, seed: int
) -> MarketTables:
    """Tables with made-up metrics, and with closes whose directions follow them; all prices of a bar are its close."""
    metrics_rng, direction_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    keys = tables.prices.select("symbol", "time")
    counts = keys.group_by("symbol", maintain_order=True).len()["len"].to_list()
    onchain = keys.with_columns(
        pl.Series(name, np.concatenate([draw_metric(name, (1, count), metrics_rng)[0] for count in counts]))
        for name in signal
    )
    known = metric_features(keys, onchain, lag_days=lag_days, window=window)
    p_up = known.select("symbol", "time", rise_probability(signal).alias("p_up"))
    up = pl.Series(direction_rng.random(len(keys))) < p_up["p_up"]
    size = pl.col("close").log().diff().abs().over("symbol")
    moves = tables.prices.with_columns(size.alias("_size"), pl.when(up).then(1.0).otherwise(-1.0).alias("_next"))
    path = moves.with_columns((pl.col("_size") * pl.col("_next").shift(1)).fill_null(0.0).over("symbol").alias("_move"))
    close = (pl.col("close").first().log() + pl.col("_move").cum_sum()).exp().over("symbol")
    prices = path.select("symbol", "time", *(close.alias(price) for price in ("open", "high", "low", "close")))
    # A size that is not known beforehand is taken as the mean of the last month's.
    usual = pl.col("_size").rolling_mean(MONTH).over("symbol").fill_null(0.0)
    expected = ((2 * pl.col("p_up") - 1) * usual).alias("expected_return")
    oracle = p_up.with_columns(moves["_size"]).select("symbol", "time", "p_up", expected)
    return replace(tables, prices=prices, onchain=onchain, oracle=oracle)
