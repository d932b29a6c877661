"""The backtest of whole studies: planted skill pays, noise does not, and the chapter says which."""

from dataclasses import replace

import numpy as np
import pytest

from cortex.domains.markets.backtest.backtest_chapter import backtest_analysis, backtest_chapter
from cortex.domains.markets.backtest.paper_trading import BUY_AND_HOLD, CASH, EQUAL_WEIGHT, ROUTED, run_backtest
from cortex.domains.markets.backtest.trading import Trading, find_terms
from cortex.domains.markets.config import DataConfig
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.page_chapters import chapter_html

from .paper_market import PaperMarket, make_market

TERMS = find_terms(None, currencies=False)


def chapter_of(market: PaperMarket, p: np.ndarray, **options: int) -> Chapter:
    study = market.study({"grpo": p}, "grpo")
    return backtest_chapter(study, market.train, market.test, TERMS, **options)


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_planted_signal_earns_more_than_cash_and_is_no_luck(horizon: int) -> None:
    market = make_market(5, strength=2.0, horizon=horizon)
    study = market.study({"grpo": market.odds}, "grpo")
    found = run_backtest(study, market.train, market.test, TERMS)
    assert found.own.performance.excess.interval.low > 0
    assert found.over_equal_weight(found.own).value > 0
    assert found.deflated["grpo"].probability > 0.99
    assert found.routed[ROUTED].performance.excess.interval.low > 0
    assert found.holdings[CASH].performance.excess.value == 0


def test_noise_is_seldom_said_to_earn_and_the_best_of_20_is_deflated() -> None:
    earns, kept = [], []
    for seed in range(6):
        market = make_market(seed, dates=100)
        study = market.study({f"try_{index}": market.noise() for index in range(20)}, "try_0")
        found = run_backtest(
            study,
            market.train,
            market.test,
            find_terms(Trading(fee_bps=0, slippage_bps=0, short=True), currencies=False),
        )
        earns += [found.forecasters[name].performance.excess.interval.low > 0 for name in study.models]
        kept.append(max(each.probability for each in found.deflated.values()))
    assert np.mean(earns) <= 0.05
    assert np.mean(np.array(kept) > 0.95) <= 0.1


def test_missing_skill_is_said_first_and_shown_skill_is_not_doubted() -> None:
    market = make_market(7, strength=2.0)
    noise, skill = chapter_of(market, market.noise()), chapter_of(market, market.odds)
    assert noise.sentences[0].startswith("No skill of grpo is shown on this test")
    assert skill.sentences[0].startswith("On paper, grpo earned more than cash")
    assert not any("No skill" in sentence for sentence in skill.sentences)


def test_a_short_test_says_that_it_cannot_tell() -> None:
    market = make_market(7, dates=20, strength=3.0)
    said = chapter_of(market, market.odds).sentences
    assert said[0].startswith("The test has 20 decision dates, and 30 are needed")
    assert not any("earned more than cash" in sentence for sentence in said)


def test_tries_raise_the_hurdle_and_the_page_shows_every_contender() -> None:
    market = make_market(9, strength=0.6)
    alone, often = chapter_of(market, market.odds), chapter_of(market, market.odds, tries=100)
    assert not any("tries" in sentence for sentence in alone.sentences)
    assert any("The best of 100 tries without skill" in sentence for sentence in often.sentences)
    judged_before = replace(market.study({"grpo": market.odds}, "grpo"), tries=100)
    assert backtest_chapter(judged_before, market.train, market.test, TERMS) == often
    rows = [row.name for row in alone.tables[0].rows]
    assert rows == ["grpo", "base_rate", EQUAL_WEIGHT, BUY_AND_HOLD, CASH]
    page = "\n".join(chapter_html(alone, "backtest"))
    assert "equal weight" in page and 'aria-label="Capital, on paper"' in page


def test_a_profile_states_the_terms_of_its_evaluations_backtest() -> None:
    market = make_market(9, strength=2.0)
    study = market.study({"grpo": market.odds}, "grpo")
    usual, dear = (
        backtest_analysis(DataConfig(trading=trading), study, market.train, market.test)
        for trading in (None, Trading(fee_bps=100.0))
    )
    assert any("Each trade costs 15 basis points" in sentence for sentence in usual.sentences)
    assert any("Each trade costs 105 basis points" in sentence for sentence in dear.sentences)
    earned = [chapter.tables[0].rows[0].cells[0].value or 0.0 for chapter in (usual, dear)]
    assert earned[1] < earned[0]


def test_one_asset_leaves_nothing_to_route() -> None:
    market = make_market(2, symbols=1, strength=2.0)
    found = run_backtest(market.study({"grpo": market.odds}, "grpo"), market.train, market.test, TERMS)
    assert not found.routed and found.own.performance.excess.value > 0
