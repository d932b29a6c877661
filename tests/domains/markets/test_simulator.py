import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from scipy import integrate, stats

from cortex.domains.markets.closing import day_of
from cortex.domains.markets.config import CHAINS, DataConfig, SimulatorConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import level
from cortex.domains.markets.simulator import Simulator, expected_return
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables

from .tables import render_all, simulate

DEFAULT = DataConfig()
LARGE = DataConfig(source=SimulatorConfig(chains=24, days=1500), window_days=60)


@pytest.fixture(scope="module")
def default() -> MarketTables:
    return simulate(DEFAULT, seed=0)


@pytest.fixture(scope="module")
def examples() -> pl.DataFrame:
    """Some 34,000 independent decisions, with their levels and the oracle's probabilities."""
    table = build_examples(simulate(LARGE, seed=5), LARGE, render_all)
    return table.with_columns(
        up=(pl.col("outcome") > 0).cast(pl.Float64), flow=level(pl.col("flow")), whales=level(pl.col("whales"))
    )


def _skill(probability: pl.Series) -> float:
    """The expected Brier skill against one half of forecasting this probability, if it is right on average."""
    return 1 - 4 * float((probability * (1 - probability)).to_numpy().mean())


def test_the_default_is_some_twelve_thousand_examples(default: MarketTables):
    table = build_examples(default, DEFAULT, render_all)
    assert 11_500 < table.height < 12_500
    assert default.prices["symbol"].n_unique() == 12
    assert default.metrics == ["flow", "whales", "active", "fees", "stables"]


def test_tables_keep_the_contract_of_every_source(default: MarketTables):
    prices = default.prices
    assert prices.schema == pl.Schema(PRICE_SCHEMA)
    assert prices.equals(prices.sort("symbol", "time").unique(["symbol", "time"], maintain_order=True))
    assert prices.filter(
        (pl.col("low") > 0)
        & (pl.col("high") >= pl.max_horizontal("open", "close"))
        & (pl.col("low") <= pl.min_horizontal("open", "close"))
    ).equals(prices)
    assert default.onchain is not None
    assert default.onchain.select(pl.col(default.metrics).is_finite().all()).row(0) == (True,) * 5


def test_the_same_seed_gives_the_same_tables_in_any_process(default: MarketTables):
    program = (
        "from cortex.domains.markets.config import DataConfig; from cortex.domains.markets.sources import open_source; "
        "t = open_source(DataConfig(), seed=0).load(); "
        "print(*(f.hash_rows(seed=1).sum() for f in (t.prices, t.onchain, t.oracle)))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert default.onchain is not None and default.oracle is not None
    here = [frame.hash_rows(seed=1).sum() for frame in (default.prices, default.onchain, default.oracle)]
    assert printed.split() == [str(digest) for digest in here]
    assert not simulate(DEFAULT, seed=1).prices.equals(default.prices)


def test_metrics_do_not_depend_on_prices_or_on_the_signal(default: MarketTables):
    other = DataConfig(source=SimulatorConfig(signal={"fees": 2.0}))
    tables = simulate(other, seed=0)
    assert tables.onchain is not None and default.onchain is not None
    assert tables.onchain.equals(default.onchain)
    assert not tables.prices.equals(default.prices)


@pytest.mark.parametrize("horizon", [1, 7])
def test_the_oracle_is_the_planted_sum_of_the_features_that_a_prompt_shows(horizon: int):
    config = DataConfig(source=SimulatorConfig(chains=4, days=600), horizon_days=horizon, onchain_lag_days=2)
    tables = simulate(config, seed=3)
    table = build_examples(tables, config, render_all)
    logit = -1.1 * level(table["flow"]) + 0.9 * level(table["whales"])
    assert table["oracle_p_up"].null_count() == 0
    assert np.allclose(table["oracle_p_up"], 1 / (1 + np.exp(-logit.to_numpy())), rtol=1e-12, atol=0)


def test_ups_come_as_often_as_the_oracle_says(examples: pl.DataFrame):
    bins = examples.group_by("oracle_p_up").agg(pl.len().alias("n"), pl.col("up").mean())
    assert bins.height == 25
    deviation = (bins["up"] - bins["oracle_p_up"]) / (
        bins["oracle_p_up"] * (1 - bins["oracle_p_up"]) / bins["n"]
    ).sqrt()
    assert (bins["n"] > 60).all()
    assert (deviation.abs() < 4).all()
    assert (deviation**2).sum() < 52.6  # chi-squared with 25 degrees of freedom: one draw in a thousand exceeds it


def test_given_p_nothing_else_tells_the_direction(examples: pl.DataFrame):
    surprise = examples["up"] - examples["oracle_p_up"]
    names = ["mom7", "mom30", "vol", "draw", "range", "active", "fees", "stables"]
    correlations = [np.corrcoef(surprise, examples[name])[0, 1] for name in names]
    assert np.abs(correlations).max() < 4 / np.sqrt(examples.height)
    size = examples["outcome"].log1p().abs()
    assert abs(np.corrcoef(surprise, size)[0, 1]) < 4 / np.sqrt(examples.height)


def test_the_best_attainable_score_and_the_share_of_flow_are_as_documented(examples: pl.DataFrame):
    oracle = _skill(examples["oracle_p_up"])
    flow = _skill(examples.select(pl.col("oracle_p_up").mean().over("flow")).to_series())
    assert oracle == pytest.approx(0.3, abs=0.02)
    assert 0.55 < flow / oracle < 0.62
    realised = 1 - 4 * float(((examples["oracle_p_up"] - examples["up"]) ** 2).to_numpy().mean())
    assert realised == pytest.approx(oracle, abs=0.025)


@pytest.mark.parametrize("name", ["flow", "whales"])
def test_all_five_levels_are_used(examples: pl.DataFrame, name: str):
    shares = dict(examples[name].value_counts(normalize=True).iter_rows())
    assert sorted(shares) == [-2, -1, 0, 1, 2]
    assert min(shares.values()) > 0.05


def test_the_expected_return_is_right_on_average(examples: pl.DataFrame):
    ranked = examples.with_columns(group=(pl.col("oracle_return").rank() * 10 / (pl.len() + 1)).floor())
    means = ranked.group_by("group").agg(
        pl.col("oracle_return").mean(), pl.col("outcome").mean(), error=pl.col("outcome").std() / pl.len().sqrt()
    )
    assert means.height == 10
    assert ((means["oracle_return"] - means["outcome"]).abs() < 4 * means["error"]).all()


@pytest.mark.parametrize(("p_up", "move"), [(0.5, 0.03), (0.9, 0.05), (0.2, 0.2)])
def test_the_expected_return_is_the_integral_that_it_claims_to_be(p_up: float, move: float):
    def weighed(size: float) -> float:
        return 2 * stats.t.pdf(size, 4) * (p_up * np.exp(move * size) + (1 - p_up) * np.exp(-move * size))

    inside, _ = integrate.quad(weighed, 0, 8)
    beyond = 2 * stats.t.sf(8, 4) * (p_up * np.exp(8 * move) + (1 - p_up) * np.exp(-8 * move))
    assert expected_return(np.array([p_up]), np.array([move]))[0] == pytest.approx(inside + beyond - 1, abs=1e-5)


def test_moves_have_the_usual_size_fat_tails_and_clustered_volatility(default: MarketTables):
    returns = default.prices.select("symbol", r=pl.col("close").log().diff().over("symbol")).drop_nulls()
    assert 0.02 < float(returns["r"].abs().to_numpy().mean()) < 0.05
    assert 0.018 < np.median(returns["r"].abs()) < 0.03
    assert (returns["r"].kurtosis() or 0) > 3
    size = returns.with_columns(a=pl.col("r").abs())
    for lag in (1, 5, 20):
        correlation = size.select(pl.corr("a", pl.col("a").shift(lag).over("symbol"))).item()
        assert correlation > 0.06
    signed = returns.select(pl.corr("r", pl.col("r").shift(20).over("symbol"))).item()
    assert abs(signed) < 0.04


def test_a_block_ends_where_it_must_and_moves_in_between():
    config = DataConfig(source=SimulatorConfig(chains=4, days=400), horizon_days=7)
    tables = simulate(config, seed=2)
    returns = tables.prices.with_columns(r=pl.col("close").log().diff().over("symbol")).drop_nulls()
    block = (day_of().to_physical() - 1) // 7
    assert returns.filter(pl.col("r").count().over("symbol", block) == 7)["r"].n_unique() > 1000
    assert tables.oracle is not None
    assert tables.oracle.select((day_of().to_physical() % 7 == 0).all()).item()


def test_a_market_shorter_than_its_horizon_is_made_all_the_same():
    tables = Simulator(SimulatorConfig(chains=1, days=3), 5, 1, 20, seed=0).load()
    assert tables.prices.height == 3


def test_a_signal_of_nothing_is_a_coin():
    config = DataConfig(source=SimulatorConfig(chains=2, days=300, signal={}))
    oracle = simulate(config, seed=0).oracle
    assert oracle is not None and oracle["p_up"].unique().to_list() == [0.5]


def test_the_description_holds_all_that_the_tables_depend_on():
    config = SimulatorConfig(chains=2, days=50)
    described = Simulator(config, 3, 2, 30, seed=9).describe()
    assert described == {
        "name": "simulator", "seed": 9, "horizon_days": 3, "onchain_lag_days": 2, "window_days": 30,
        "chains": 2, "days": 50, "start": "2020-01-01", "signal": {"flow": -1.1, "whales": 0.9},
    }  # fmt: skip
    assert len(set(CHAINS)) == len(CHAINS)
