import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.markets.closing import day_of
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import build_features, level, metric_features, warmup_bars
from cortex.domains.markets.source import MarketTables
from cortex.errors import DataError

from .tables import START, bars, closed, metric

CONFIG = DataConfig(window_days=20, horizon_days=4)
CLOSES = np.exp(np.random.default_rng(3).normal(0, 0.03, 200).cumsum() + 3)


def _z(values: np.ndarray) -> float:
    return float((values[-1] - values.mean()) / values.std(ddof=1))


def test_price_features_are_what_they_say():
    frame, features = build_features(MarketTables(bars(list(CLOSES))), CONFIG)
    assert frame.columns == ["symbol", "time", "mom7", "mom30", "vol", "draw", "range"]
    assert [(f.name, f.unit) for f in features][-2:] == [("draw", "z"), ("range", "pct")]
    log, day = np.log(CLOSES), 150
    volatility = np.array([np.diff(log[end - 30 : end + 1]).std(ddof=1) for end in range(30, 200)])
    drawdown = np.array([log[end] - log[end - 29 : end + 1].max() for end in range(29, 200)])
    now = volatility[day - 30]
    expected = {
        "mom7": (log[day] - log[day - 7]) / (now * 7**0.5),
        "mom30": (log[day] - log[day - 30]) / (now * 30**0.5),
        "vol": _z(np.log(volatility[day - 49 : day - 29])),
        "draw": _z(drawdown[day - 48 : day - 28]),
        "range": 100 * now * 2,
    }
    row = frame.row(day, named=True)
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["time"] == closed(START + dt.timedelta(days=150))


def test_the_first_complete_row_comes_after_the_warm_up():
    frame, _ = build_features(MarketTables(bars(list(CLOSES))), CONFIG)
    complete = frame.drop_nulls()
    assert complete.height == 200 - warmup_bars(CONFIG) + 1
    assert complete["time"][0] == closed(START + dt.timedelta(days=warmup_bars(CONFIG) - 1))


def test_each_symbol_stands_alone():
    late = START + dt.timedelta(days=40)
    alone, _ = build_features(MarketTables(bars(list(CLOSES[:120]), "ETH", late)), CONFIG)
    both = pl.concat([bars(list(CLOSES)), bars(list(CLOSES[:120]), "ETH", late)])
    together, _ = build_features(MarketTables(both.sample(fraction=1, shuffle=True, seed=1)), CONFIG)
    assert together.filter(symbol="ETH").equals(alone)


def test_a_peg_without_any_movement_has_features_of_zero():
    frame, _ = build_features(MarketTables(bars([1.0] * 100)), CONFIG)
    last = frame.row(-1, named=True)
    assert [last[name] for name in ("mom7", "mom30", "vol", "draw")] == [0, 0, 0, 0]
    assert last["range"] == pytest.approx(0, abs=1e-3)


def test_a_long_gap_starts_the_history_afresh():
    after = START + dt.timedelta(days=100 + 60)
    prices = pl.concat([bars(list(CLOSES[:100])), bars(list(CLOSES[100:] * 5), start=after)])
    frame, _ = build_features(MarketTables(prices), CONFIG)
    alone, _ = build_features(MarketTables(bars(list(CLOSES[100:] * 5), start=after)), CONFIG)
    assert frame.filter(pl.col("time") > closed(after - dt.timedelta(days=1))).equals(alone)


def test_a_short_gap_does_not():
    prices = bars(list(CLOSES)).filter(~day_of().is_between(START + dt.timedelta(150), START + dt.timedelta(152)))
    frame, _ = build_features(MarketTables(prices), CONFIG)
    assert frame.tail(40).null_count().sum_horizontal().item() == 0


def _one_metric(values: list[float | None], lag: int = 0) -> pl.Series:
    keys = bars([1.0] * len(values)).select("symbol", "time")
    return metric_features(keys, metric(values), lag_days=lag, window=20)["active"]


def test_a_positive_metric_is_measured_by_its_logarithm():
    values = np.random.default_rng(0).lognormal(5, 1, 60)
    assert _one_metric(list(values))[50] == pytest.approx(_z(np.log(values[31:51])))


def test_a_signed_metric_is_measured_as_it_is():
    values = np.random.default_rng(0).normal(0, 1, 60)
    values[0] = -1
    assert _one_metric(list(values))[50] == pytest.approx(_z(values[31:51]))


def test_a_constant_metric_is_at_zero():
    assert _one_metric([7.0] * 60)[19:].to_list() == [0.0] * 41


def test_a_missing_value_is_stood_in_for_by_the_last_for_a_week():
    values: list[float | None] = [float(v) for v in np.random.default_rng(0).lognormal(5, 1, 60)]
    values[40:50] = [None] * 10
    z = _one_metric(values)
    assert z[40:47].null_count() == 0
    assert z[47:50].null_count() == 3
    assert z[40] == pytest.approx(_z(np.log(np.array([*values[21:40], values[39]], dtype=float))))


def test_a_missing_row_is_stood_in_for_by_the_one_before_never_by_the_one_after():
    onchain = metric(list(np.random.default_rng(0).lognormal(5, 1, 60)))
    absent = day_of().is_between(START + dt.timedelta(days=40), START + dt.timedelta(days=43))
    keys = bars([1.0] * 60).select("symbol", "time")
    z = metric_features(keys, onchain.filter(~absent), lag_days=0, window=20)["active"]
    assert z[40:44].to_list() == [z[39]] * 4
    assert z[44] != z[39]


def test_a_metric_that_ended_is_not_used_for_ever():
    keys = bars([1.0] * 60).select("symbol", "time")
    z = metric_features(keys, metric(list(range(1, 41))), lag_days=2, window=20)["active"]
    assert z.is_not_null().arg_true().to_list() == list(range(21, 49))


def test_a_metric_may_not_take_the_name_of_a_column():
    onchain = metric([1.0] * 60).rename({"active": "outcome"})
    with pytest.raises(DataError, match="'outcome' is taken"):
        build_features(MarketTables(bars([1.0] * 60), onchain), CONFIG)


@given(st.floats(-50, 50))
def test_level_is_the_nearest_whole_number_within_two(z: float):
    shown = level(pl.Series([z]))[0]
    assert shown in (-2, -1, 0, 1, 2)
    assert abs(shown - min(max(z, -2), 2)) <= 0.5
    assert pl.select(level(pl.lit(z))).item() == shown


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-6, 1e9), min_size=60, max_size=60))
def test_features_of_any_prices_are_finite(closes: list[float]):
    frame, features = build_features(MarketTables(bars(closes)), CONFIG)
    complete = frame.drop_nulls().select(feature.name for feature in features)
    assert complete.height == 60 - warmup_bars(CONFIG) + 1
    assert complete.select(pl.all_horizontal(pl.all().is_finite().all())).item()
