"""Days and symbols that give no examples are named, with what they lack."""

import datetime as dt

import polars as pl
import pytest

from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import build_features
from cortex.domains.markets.gaps import Gaps
from cortex.domains.markets.source import MarketTables
from cortex.errors import DataError

from .tables import START, bars, metric, render_all

CONFIG = DataConfig(window_days=20)
DAYS = 300
PRICES = bars([5 + day * day % 11 for day in range(DAYS)])
ACTIVE = [float(7 + day * day % 13) for day in range(DAYS)]


def _gaps(prices: pl.DataFrame, onchain: pl.DataFrame | None = None) -> tuple[str, ...]:
    gaps = Gaps(CONFIG)
    gaps.add(build_features(MarketTables(prices, onchain), CONFIG)[0])
    return gaps.notes()


def test_a_whole_history_has_no_gap() -> None:
    assert _gaps(PRICES) == ()
    assert _gaps(PRICES, metric(ACTIVE)) == ()
    assert _gaps(PRICES, metric([value if day % 7 == 0 else None for day, value in enumerate(ACTIVE)])) == ()


@pytest.mark.parametrize(
    ("first", "last"), [(0, 100), (150, 200), (250, DAYS)], ids=["not yet launched", "in the middle", "given up"]
)
def test_days_that_a_metric_costs_are_counted(first: int, last: int) -> None:
    onchain = metric([None if first <= day < last else value for day, value in enumerate(ACTIVE)])
    tables = MarketTables(PRICES, onchain)
    lost = build_examples(MarketTables(PRICES), CONFIG, render_all).height
    lost -= build_examples(tables, CONFIG, render_all).height
    (note,) = _gaps(PRICES, onchain)
    counted = int(note.removeprefix("no examples of ").split()[0])
    assert "active has no value within 7 days" in note and "1 of 1 symbols" in note
    assert abs(counted - lost) <= 3  # the ends of splits take a day or two of either


def test_a_symbol_that_is_too_short_is_named() -> None:
    assert _gaps(pl.concat([PRICES, bars(range(1, 31), "ZETA")])) == (
        "no examples of ZETA: 30 daily bars at most, and 50 without a break fill the windows",
    )


def test_a_break_in_prices_is_named() -> None:
    (note,) = _gaps(PRICES.filter(~pl.int_range(pl.len()).is_between(100, 120)))
    days = [START + dt.timedelta(days=day) for day in (99, 121)]
    assert note.startswith(f"one break of more than 7 days in prices, such as NEAR between {days[0]} and {days[1]}")


def test_a_history_that_a_metric_makes_too_short_blames_the_metric() -> None:
    monthly = metric([value if day % 30 == 0 else None for day, value in enumerate(ACTIVE)])
    with pytest.raises(DataError, match=r"no decision has every feature.*where active has no value within 7 days"):
        build_examples(MarketTables(PRICES, monthly), CONFIG, render_all)
    late = metric([None] * (DAYS - 30) + ACTIVE[-30:])
    with pytest.raises(DataError, match=r"an empty split.*where active has no value within 7 days"):
        build_examples(MarketTables(PRICES, late), CONFIG, render_all)
