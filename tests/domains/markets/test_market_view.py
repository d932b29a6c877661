"""A forecast for people: what it rests on is stated, or refused with the reason."""

import datetime as dt
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from cortex.domains.endpoint import Reading
from cortex.domains.markets.bars import DAY, FIXING, bar_of
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.market_endpoint import MarketRequest
from cortex.domains.markets.market_view import forecast_shares, market_form, price_chart, training_remarks
from cortex.domains.markets.spans import Span
from cortex.domains.view import Judged
from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples
from cortex.settings import Settings
from tests.evaluation.simulation import MARKETS, judge, make_clusters, make_examples, make_grades, stated

READ = Reading({"p_up": 0.6, "direction": "up", "return_pct": 1.0, "interval_pct": [-10.0, 20.0]}, "because")


def judged(dates: int = 400, weight: float = 0.1, **options: Any) -> Judged:
    """The record of a model that goes by `flow`, which moves this market."""
    examples = make_examples(dates=dates)
    test = examples.filter(split="test")
    p_up = (0.5 + weight * test["flow"].to_numpy()).clip(0.3, 0.7)
    graded = stated(p_up).graded(test["outcome"].to_numpy())
    return Judged(judge({"grpo": graded}, examples, **options), "grpo")


@pytest.fixture(scope="module")
def record() -> Judged:
    return judged(groups=MARKETS.groups)


def test_forecasts_of_a_like_probability_stand_beside_all(record: Judged) -> None:
    like, every, direction, inside = forecast_shares(record, 0.7)
    assert like.title.startswith("Rose, of test forecasts that stated ") and like.title.endswith("70%")
    assert like.share and every.share and like.share > every.share + 0.1
    assert like.interval and like.interval.low < like.share < like.interval.high
    assert every.examples == 640 and 50 <= like.examples <= 140
    assert direction.share == record.evaluated.measures["accuracy"] and inside.interval


def test_every_probability_that_was_stated_has_its_group(record: Judged) -> None:
    groups = record.evaluated.groups["rose"]
    assert sum(group.examples for group in groups) == 640
    for group in groups:
        for p_up in (group.low, group.high):
            assert forecast_shares(record, p_up)[0].examples == group.examples


def test_a_reply_that_could_not_be_read_is_in_no_group() -> None:
    grades = make_grades(np.full(200, 0.6), np.ones(200, dtype=np.bool_), valid=np.arange(200) % 2 == 0)
    told = replace(grades, numbers={**grades.numbers, "p_up": np.full(200, 0.6), "up": np.ones(200)})
    groups = MARKETS.groups(told, Resamples.draw(make_clusters(200), resamples=50))
    assert [group.examples for group in (*groups["rose"], *groups["rose of all"])] == [100, 100]


def test_a_probability_that_was_never_stated_has_no_share(record: Judged) -> None:
    like = forecast_shares(record, 0.9)[0]
    assert like.share is None and "no probability near 90%" in like.reason


def test_a_short_test_gives_no_share() -> None:
    for share in forecast_shares(judged(dates=60, groups=MARKETS.groups), 0.5):
        assert share.share is None and "of which 30 are needed" in share.reason


def test_a_record_of_before_says_so() -> None:
    like, *_ = forecast_shares(judged(), 0.5)
    assert like.share is None and "release it anew" in like.reason


def test_a_held_back_answer_has_only_what_is_true_of_all(record: Judged) -> None:
    assert [share.title.partition(",")[0] for share in forecast_shares(record, None)] == [
        "Rose", "Went in the likelier direction", "Fell inside the stated 90% interval",
    ]  # fmt: skip


def closes(step: dt.timedelta, count: int = 200) -> pl.DataFrame:
    times = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + step * index for index in range(count)]
    return pl.DataFrame({"time": times, "bar": [str(time) for time in times], "close": [100.0] * count})


def test_the_chart_ends_with_the_interval_in_the_unit_of_the_closes() -> None:
    bars = closes(dt.timedelta(hours=1))
    chart = price_chart(bars, "X", Span(4, "bars"), DAY, READ)
    assert chart.ahead and len(chart.points) == 90 and chart.points[-1].time == bars["time"][-1]
    assert (chart.ahead.low, chart.ahead.middle, chart.ahead.high) == pytest.approx((90, 101, 120))
    assert chart.ahead.time - chart.points[-1].time == dt.timedelta(hours=4)
    assert price_chart(bars, "X", Span(4, "bars"), DAY, None).ahead is None


def test_no_close_ahead_is_below_nothing() -> None:
    read = Reading({**READ.answer, "interval_pct": [-250.0, 20.0]}, None)
    ahead = price_chart(closes(dt.timedelta(days=1), 1), "X", Span(3, "days"), FIXING, read).ahead
    assert ahead and ahead.low == 0 and ahead.time == dt.datetime(2024, 1, 4, tzinfo=dt.UTC)


def test_bars_of_which_a_day_has_many_are_asked_by_their_time() -> None:
    limits = {"X": ("2024-01-01T00:30:00Z", "2024-02-01T00:00:00Z")}
    _, when = market_form(bar_of("30m"), limits, "")
    assert (when.kind, when.limits, when.label) == ("time", limits, "Close of the half-hour bar (UTC)")


SPLITS = {
    "train": {"first": "2020-01-01", "last": "2020-06-30"},
    "validation": {"first": "2020-07-02", "last": "2020-08-31"},
    "test": {"first": "2020-09-02", "last": "2020-12-31"},
}


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("2020-06-30", "this is no test"),
        ("2020-07-01", "choices during training"),
        ("2020-09-02", "in the test period"),
        ("2021-01-01", "after all data"),
    ],
)
def test_a_date_is_placed_beside_the_data_of_the_training(day: str, words: str) -> None:
    (remark,) = training_remarks(dt.datetime.fromisoformat(f"{day}T00:00:00+00:00"), SPLITS)
    assert words in remark
    assert training_remarks(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), {}) == ()


def test_the_form_knows_fixings_by_their_day_and_features_need_no_source() -> None:
    market = Markets.model_validate(
        {"kind": "markets", "source": {"kind": "ecb", "pairs": ["EUR/USD"], "start": "2019-01-01"}, "horizon_bars": 1}
    )
    features = market.build(0, Settings()).description()["features"]
    endpoint = market.endpoint({"features": features}, 0, Settings())
    symbol, when = endpoint.form()
    assert symbol.choices == ("EURUSD",) and when.kind == "date"
    first, last = when.limits["EURUSD"]
    assert first == "2019-06-21"
    by_day = endpoint.question(MarketRequest(symbol="EURUSD", date=last))
    assert by_day.id.startswith(f"EURUSD-{last}T") and by_day.id.endswith(":00:00Z")
    assert by_day == endpoint.question(MarketRequest(symbol="EURUSD", date=by_day.id.removeprefix("EURUSD-")))
    with pytest.raises(DataError, match="they go from"):
        endpoint.question(MarketRequest(symbol="EURUSD", date="2024-01-06"))  # a Saturday
    elsewhere = market.endpoint({"features": features[:-1]}, 0, Settings())
    symbol, when = elsewhere.form()
    assert symbol.kind == "line" and "the model was trained on others" in when.hint
