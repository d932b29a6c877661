"""No decision uses later data: without this property, every result is worthless."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.markets.closing import day_of
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import build_features
from cortex.domains.markets.source import MarketTables

from .tables import metric, render_all, simulated

NUMBERS = ("open", "high", "low", "close")


def _scrambled_after(tables: MarketTables, last: dt.datetime, lag_days: int, seed: int) -> MarketTables:
    """`tables` with every number that was not known at the close of `last` replaced, metrics by signed ones too."""
    rng = np.random.default_rng(seed)
    prices = tables.prices.with_columns(
        pl.when(pl.col("time") > last).then(pl.Series(rng.lognormal(3, 2, tables.prices.height))).otherwise(column)
        .alias(column)
        for column in NUMBERS
    )  # fmt: skip
    assert tables.onchain is not None
    unknown = pl.col("time") > last - dt.timedelta(days=lag_days)
    onchain = tables.onchain.with_columns(
        pl.when(unknown).then(pl.Series(rng.normal(0, 1e6, tables.onchain.height))).otherwise(column).alias(column)
        for column in tables.metrics
    )
    return MarketTables(prices, onchain, None)


@settings(max_examples=25, deadline=None)
@given(
    day=st.integers(60, 218),
    horizon=st.sampled_from([1, 5]),
    lag=st.sampled_from([0, 1, 4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_after_a_decision_changes_its_features_or_its_prompt(day: int, horizon: int, lag: int, seed: int):
    tables, config = simulated(horizon=horizon, lag=lag)
    last = tables.prices["time"].unique().sort()[day]
    other = _scrambled_after(tables, last, lag, seed)
    decided = pl.col("time") <= last

    features, _ = build_features(tables, config)
    scrambled, _ = build_features(other, config)
    assert scrambled.filter(decided).equals(features.filter(decided))
    assert not scrambled.equals(features)

    known = pl.col("at") <= last
    prompts = build_examples(tables, config, render_all).filter(known)["messages"]
    assert prompts.equals(build_examples(other, config, render_all).filter(known)["messages"])


@settings(max_examples=15, deadline=None)
@given(day=st.integers(60, 215))
def test_features_are_the_same_before_the_later_rows_exist(day: int):
    tables, config = simulated()
    last = tables.prices["time"].unique().sort()[day]
    past = pl.col("time") <= last
    assert tables.onchain is not None
    then = MarketTables(tables.prices.filter(past), tables.onchain.filter(past))
    features, _ = build_features(tables, config)
    assert build_features(then, config)[0].equals(features.filter(past))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_metric_counts_from_its_lag_on_and_not_a_day_earlier(lag: int):
    tables, _ = simulated(chains=1)
    config = DataConfig(window_days=20, onchain_lag_days=lag)
    values = np.random.default_rng(0).lognormal(size=220)
    start = tables.prices.select(day_of().min()).item()
    symbol = tables.prices["symbol"][0]
    before = MarketTables(tables.prices, metric(list(values), symbol, start))
    values[100] *= 50
    after = MarketTables(tables.prices, metric(list(values), symbol, start))
    changed = build_features(before, config)[0]["active"] != build_features(after, config)[0]["active"]
    assert changed.arg_true()[0] == 100 + lag


def test_an_outcome_is_of_days_that_no_feature_has_seen():
    tables, config = simulated(horizon=5)
    examples = build_examples(tables, config, render_all)
    length = pl.col("outcome_time") - pl.col("at")
    assert examples.select((length == pl.duration(days=5)).all()).item()
    closes = {(s, t): c for s, t, c in tables.prices.select("symbol", "time", "close").iter_rows()}
    for row in examples.sample(50, seed=0).iter_rows(named=True):
        later = closes[row["symbol"], row["at"] + dt.timedelta(days=5)]
        assert row["outcome"] == pytest.approx(later / closes[row["symbol"], row["at"]] - 1)
