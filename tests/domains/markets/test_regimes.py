"""Regimes by what was known at the decision."""

import polars as pl

from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.features import PRICE_FEATURES, build_features
from cortex.domains.markets.regimes import FEATURE_OF, STRATA, regime
from cortex.domains.markets.source import MarketTables

from .tables import render_all, simulated


def test_the_middle_holds_its_bounds() -> None:
    table = pl.DataFrame({"vol": [-0.51, -0.5, 0.0, 0.5, 0.51], "mom30": [3.0, -3.0, 0.0, 0.5, -0.5]})
    found = table.select(regime(name) for name in STRATA)
    assert found["volatility"].to_list() == ["low", "middle", "middle", "middle", "high"]
    assert found["trend"].to_list() == ["up", "down", "flat", "flat", "flat"]


def test_every_example_has_a_regime_by_features_of_past_prices() -> None:
    tables, config = simulated()
    examples = build_examples(tables, config, render_all)
    assert set(FEATURE_OF.values()) <= set(PRICE_FEATURES) and FEATURE_OF.keys() == STRATA.keys()
    for name, strata in STRATA.items():
        assert set(examples.select(regime(name)).to_series()) == set(strata)


def test_a_regime_is_the_same_before_the_later_prices_exist() -> None:
    tables, config = simulated()
    last = tables.prices["time"].unique().sort()[150]
    past = pl.col("time") <= last
    then = MarketTables(tables.prices.filter(past), None if tables.onchain is None else tables.onchain.filter(past))
    known = [regime(name) for name in STRATA]
    features, _ = build_features(tables, config)
    before, _ = build_features(then, config)
    assert before.height and before.select(known).equals(features.filter(past).select(known))
