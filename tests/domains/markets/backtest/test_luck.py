"""Deflation and the probability of overfitting: luck is told from skill."""

import numpy as np
import pytest

from cortex.domains.markets.backtest.deflation import deflate, exceeds, expected_maximum, sharpe_doubt
from cortex.domains.markets.backtest.overfitting import overfitting_probability


def test_the_numerical_example_of_the_paper() -> None:
    """Bailey and López de Prado 2014: 100 tries whose annual ratios have a variance of 1/2, 1,250 days, a ratio of 2.5
    a year, a skewness of -3 and a kurtosis of 10 leave a probability of 90%."""
    hurdle = np.sqrt(1 / (2 * 250)) * expected_maximum(100)
    assert hurdle == pytest.approx(0.1132, abs=1e-4)
    sharpe = 2.5 / np.sqrt(250)
    assert exceeds(sharpe, hurdle, sharpe_doubt(sharpe, -3, 10), 1250) == pytest.approx(0.9004, abs=1e-4)


def test_the_expected_maximum_is_that_of_normal_draws() -> None:
    largest = np.random.default_rng(0).normal(size=(20_000, 20)).max(axis=1)
    assert expected_maximum(20) == pytest.approx(largest.mean(), abs=0.04)
    assert expected_maximum(1) == 0


def test_the_best_of_20_tries_without_skill_is_deflated_to_nothing() -> None:
    """Of 100 such choices, most would pass as skill if each had been tried alone; at most one in twenty does now."""
    generator = np.random.default_rng(1)
    alone, deflated = [], []
    for _ in range(100):
        tries = 0.01 * generator.normal(size=(20, 250))
        best = tries[np.argmax(tries.mean(axis=1) / tries.std(axis=1))]
        alone.append(deflate(best, best[np.newaxis], tries=1, bets=250).probability)
        deflated.append(deflate(best, tries, tries=20, bets=250).probability)
    assert np.mean(np.array(alone) > 0.95) > 0.5
    assert np.mean(np.array(deflated) > 0.95) <= 0.05


def test_skill_outlives_its_tries_and_says_what_record_it_needs() -> None:
    generator = np.random.default_rng(2)
    tries = 0.01 * generator.normal(size=(20, 1000))
    tries[0] += 0.002
    found = deflate(tries[0], tries, tries=20, bets=1000)
    assert found.probability > 0.95 and found.needed is not None and 30 < found.needed < 150
    assert deflate(-tries[0], tries, tries=20, bets=1000).needed is None
    assert deflate(tries[0], tries, tries=100_000, bets=1000).hurdle > 1.5 * found.hurdle


def test_overfitting_is_chance_for_noise_and_none_for_a_dominant_contender() -> None:
    generator = np.random.default_rng(3)
    noise = [overfitting_probability(generator.normal(size=(10, 160)), 1) for _ in range(12)]
    assert 0.35 < np.mean([each for each in noise if each is not None]) < 0.65
    skilled = generator.normal(size=(10, 160))
    skilled[4] += 1.0
    assert overfitting_probability(skilled, 1) == 0


def test_a_contender_that_fits_one_half_of_the_time_alone_is_overfitted() -> None:
    """Two contenders, each good in one half and bad in the other: the better one before is the worse one after."""
    half = np.repeat([1.0, -1.0], 80) + 0.1 * np.random.default_rng(4).normal(size=160)
    assert (overfitting_probability(np.stack([half, -half]), 1) or 0) > 0.8


def test_too_few_dates_or_contenders_tell_nothing() -> None:
    assert overfitting_probability(np.ones((1, 100)), 1) is None
    assert overfitting_probability(np.ones((3, 15)), 1) is None
    assert overfitting_probability(np.ones((3, 100)), 20) is None
