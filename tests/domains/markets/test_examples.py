import datetime as dt
import json

import polars as pl
import pytest

from cortex.domains.example_columns import SCHEMA
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import Feature
from cortex.domains.markets.outcomes import horizon_in_steps, outcomes
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.spans import Span
from cortex.errors import DataError

from .tables import START, bars, closed, metric, render_all, simulated


def test_an_example_has_the_columns_that_later_stages_read():
    tables, config = simulated()
    table = build_examples(tables, config, render_all)
    assert table.columns == [
        "id", "split", "cluster", "at", "messages", "truth", "symbol", "outcome", "outcome_time",
        "mom7", "mom30", "vol", "draw", "range", "flow", "whales", "active", "fees", "stables",
        "oracle_p_up", "oracle_return",
    ]  # fmt: skip
    assert table.null_count().sum_horizontal().item() == 0
    assert dict(list(table.schema.items())[:6]) == SCHEMA
    assert table["id"].is_unique().all()
    assert table.equals(table.sort("at", "symbol"))
    first = table.row(0, named=True)
    decided_on = first["at"].date() - dt.timedelta(days=1)
    assert first["id"] == f"{first['symbol']}-{decided_on}"
    assert first["cluster"] == f"{first['at']:%Y-%m-%dT%H:%M:%SZ}"
    assert table.select(pl.col("at").n_unique().over("cluster").max()).item() == 1
    (question,) = first["messages"]
    assert question["role"] == "user"
    assert question["content"].startswith(f"{first['symbol']} {decided_on} 1 ")
    assert [json.loads(truth) for truth in table["truth"]] == table["outcome"].to_list()


def test_the_renderer_sees_no_outcome_and_is_told_the_horizon():
    tables, config = simulated(horizon=5)
    seen: dict[str, object] = {}

    def render(table: pl.DataFrame, features: list[Feature], config: DataConfig) -> pl.Series:
        seen.update(columns=table.columns, names=[f.name for f in features], horizon=config.horizon.count)
        return render_all(table, features, config)

    build_examples(tables, config, render)
    assert seen["columns"] == ["symbol", "time", *seen["names"]]  # type: ignore[misc]
    assert seen["horizon"] == 5


def test_decisions_do_not_overlap_unless_asked_to():
    tables, config = simulated(days=400, horizon=5)
    apart = build_examples(tables, config, render_all)
    steps = apart.filter(symbol="NEAR").select(pl.col("at").diff().drop_nulls().min()).item()
    assert steps == dt.timedelta(days=5)
    assert apart["oracle_p_up"].null_count() == 0
    daily = build_examples(tables, config.model_copy(update={"every_days": 1}), render_all)
    assert daily.filter(symbol="NEAR")["at"].diff().drop_nulls().min() == dt.timedelta(days=1)
    assert 0 < daily["oracle_p_up"].count() < daily.height


def test_without_an_oracle_its_columns_are_empty():
    tables, config = simulated()
    table = build_examples(MarketTables(tables.prices), config, render_all)
    assert table["oracle_p_up"].dtype == pl.Float64
    assert table["oracle_p_up"].null_count() == table["oracle_return"].null_count() == table.height


def test_the_outcome_is_by_the_calendar_and_absent_where_its_day_is():
    prices = bars([1, 2, 4, 8, 16]).filter(pl.col("time") != closed(START + dt.timedelta(days=3)))
    table = outcomes(prices, Span(2, "days"))
    assert table["outcome"].to_list() == [3.0, 3.0]
    assert table["time"].to_list() == [closed(START), closed(START + dt.timedelta(days=2))]
    assert table["outcome_time"][0] == dt.datetime(2021, 1, 4, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("days", "horizon", "message"),
    [
        (100, 1, "too little history: NEAR, the longest, has 100 daily bars; .* need at least 121"),
        (200, 90, "too little history: NEAR, the longest, has 200 daily bars; .*horizon_days 90 need at least 210"),
        (125, 1, "an empty split"),
    ],
)
def test_too_little_history_is_refused_with_the_rows_that_are_needed(days: int, horizon: int, message: str):
    config = DataConfig(horizon_days=horizon, every_days=1, embargo_days=5)
    prices = bars([100 + day % 7 for day in range(days)])
    with pytest.raises(DataError, match=message) as error:
        build_examples(MarketTables(prices), config, render_all)
    assert "\n" not in str(error.value)


def test_metrics_that_never_meet_the_prices_are_named_as_the_cause():
    prices = bars([100 + day % 7 for day in range(200)])
    late = metric([float(day) for day in range(50)], start=START + dt.timedelta(days=400))
    with pytest.raises(DataError, match="metrics whose dates do not meet them"):
        build_examples(MarketTables(prices, late), DataConfig(), render_all)


def test_no_prices_are_refused():
    with pytest.raises(DataError, match="no prices at all"):
        build_examples(MarketTables(bars([1.0]).clear()), DataConfig(), render_all)


def days(count: int, first: int = 0, step: int = 1) -> pl.Series:
    return pl.Series(
        [dt.datetime(2022, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=first + step * n) for n in range(count)]
    )


def test_horizon_is_counted_in_decision_dates():
    assert horizon_in_steps(days(30), days(30, first=1)) == 1
    assert horizon_in_steps(days(30), days(30, first=7)) == 7
    weekly = horizon_in_steps(days(5, step=7), days(5, first=7, step=7))
    assert weekly == 1, "weekly decisions of weekly outcomes do not overlap"
