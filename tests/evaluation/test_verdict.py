from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from cortex.domains.markets.scores import losses, score

from cortex.evaluation.bootstrap import DateResamples, score_intervals
from cortex.evaluation.record import Comparison, Curves, DataSummary, Evaluated, Interval, ScoreIntervals, Verdict
from cortex.evaluation.verdict import verdict
from tests.evaluation.simulation import stated

START = datetime(2022, 1, 1, tzinfo=UTC)


def judge(
    p_up: np.ndarray,
    outcome: np.ndarray,
    *,
    horizon: int = 1,
    valid_share: float = 1.0,
    comparisons: tuple[Comparison, ...] = (),
    seed: int = 0,
) -> Verdict:
    """The verdict on probabilities and outcomes, both given as dates by symbols."""
    dates, symbols = p_up.shape
    day = np.repeat(np.datetime64("2022-01-01") + np.arange(dates), symbols)
    drawn = DateResamples.draw(day, horizon, resamples=300, seed=seed)
    forecasts = stated(p_up.ravel())
    forecasts.valid[: round((1 - valid_share) * len(forecasts))] = False
    evaluated = Evaluated(
        scores=score(forecasts, outcome.ravel(), base_rate=0.5),
        intervals=score_intervals(drawn, losses(forecasts, outcome.ravel(), base_rate=0.5)),
        curves=Curves(reliability=[], p_counts=[], cumulative_skill=[]),
    )
    data = DataSummary(
        source="a test",
        simulated=True,
        train_examples=1000,
        test_examples=len(forecasts),
        symbols=[f"S{index}" for index in range(symbols)],
        decision_times=[START + timedelta(days=index) for index in range(dates)],
        horizon_days=horizon,
        horizon_steps=horizon,
        base_rate=0.5,
        test_up_rate=float(np.mean(outcome > 0)),
        block_length=drawn.block_length,
        resamples=300,
        seed=seed,
    )
    return verdict("grpo", evaluated, comparisons, data)


def market(generator: np.random.Generator, dates: int, symbols: int, horizon: int) -> np.ndarray:
    """Forward returns over `horizon` days of symbols that share most of their moves."""
    shape = (dates + horizon - 1, symbols)
    moves = 0.7 * generator.standard_t(4, (shape[0], 1)) + 0.7 * generator.standard_t(4, shape)
    total = np.concatenate([np.zeros((1, symbols)), moves.cumsum(axis=0)])
    return total[horizon:] - total[:-horizon]


@pytest.mark.parametrize(("dates", "symbols", "horizon"), [(40, 12, 1), (250, 12, 1), (120, 12, 7)])
@pytest.mark.parametrize("confidence", [0.005, 0.05])
def test_noise_shows_no_skill(dates: int, symbols: int, horizon: int, confidence: float) -> None:
    """Forecasts that wander by themselves, alike for all symbols of a date: luck that fools a naive test."""
    generator = np.random.default_rng(20)
    fooled, replications = 0, 200
    for seed in range(replications):
        steps = generator.normal(scale=np.sqrt(1 - 0.9**2), size=dates)
        mood = np.empty(dates)
        level = generator.normal()
        for index, step in enumerate(steps):
            level = 0.9 * level + step
            mood[index] = level
        p_up = np.repeat(np.clip(0.5 + confidence * mood, 0.01, 0.99)[:, np.newaxis], symbols, axis=1)
        fooled += judge(p_up, market(generator, dates, symbols, horizon), horizon=horizon, seed=seed).skill_shown
    assert fooled / replications <= 0.05


def test_a_strong_signal_shows_skill() -> None:
    generator = np.random.default_rng(0)
    p_up = generator.uniform(0.2, 0.8, (60, 5))
    outcome = np.where(generator.random((60, 5)) < p_up, 0.01, -0.01)
    result = judge(p_up, outcome)
    assert result.skill_shown
    assert result.headline == "skill shown"
    assert "300 examples of 60 decision dates" in result.reason


def test_confident_noise_shows_no_skill_and_says_by_how_much() -> None:
    generator = np.random.default_rng(0)
    result = judge(generator.uniform(0, 1, (100, 5)), generator.normal(size=(100, 5)))
    assert result.headline == "no skill shown"
    assert result.reason.startswith("Brier skill against the base rate is -0.3")


@pytest.mark.parametrize(("dates", "horizon", "needed"), [(29, 1, 30), (69, 7, 70)])
def test_too_few_dates_show_no_skill_however_good_the_score(dates: int, horizon: int, needed: int) -> None:
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(dates, 8))
    p_up = np.where(outcome > 0, 0.95, 0.05)
    result = judge(p_up, outcome, horizon=horizon)
    assert not result.skill_shown
    assert f"has {dates} decision dates, too few to judge by: {needed} are needed" in result.reason
    longer = np.concatenate([outcome, outcome[:1]])
    assert judge(np.where(longer > 0, 0.95, 0.05), longer, horizon=horizon).skill_shown


def test_a_model_that_mostly_refuses_shows_no_skill() -> None:
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(60, 5))
    p_up = np.where(outcome > 0, 0.9, 0.1)
    result = judge(p_up, outcome, valid_share=0.4)
    assert not result.skill_shown
    assert "Only 40% of the answers could be read" in result.reason
    assert judge(p_up, outcome, valid_share=0.6).skill_shown


def test_a_model_that_answers_just_half_of_what_it_is_asked_is_judged() -> None:
    """Too few is less than half, as the refusal says: "50% are needed"."""
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(60, 5))
    p_up = np.where(outcome > 0, 0.9, 0.1)
    assert judge(p_up, outcome, valid_share=150 / 300).skill_shown
    assert "50% are needed" in judge(p_up, outcome, valid_share=149 / 300).reason


def compared(first: str, second: str, low: float, high: float) -> Comparison:
    return Comparison(first=first, second=second, difference=(low + high) / 2, interval=Interval(low=low, high=high))


@pytest.mark.parametrize(
    ("momentum", "regression", "sentence"),
    [
        ((0.01, 0.02), (0.01, 0.03), "It beats momentum and logistic regression (paired"),
        ((0.01, 0.02), (-0.03, -0.01), "It beats momentum, and is worse than logistic regression (paired"),
        ((-0.01, 0.02), (-0.01, 0.01), "It is not distinguishable from momentum and logistic regression (paired"),
    ],
)
def test_the_second_line_compares_with_the_simple_rivals(
    momentum: tuple[float, float], regression: tuple[float, float], sentence: str
) -> None:
    comparisons = (
        compared("sft", "momentum", -1, -0.5),
        compared("grpo", "momentum", *momentum),
        compared("grpo", "logistic_regression", *regression),
        compared("grpo", "oracle", -1, -0.5),
    )
    p_up = np.full((40, 2), 0.5)
    assert judge(p_up, np.ones((40, 2)), comparisons=comparisons).comparison.startswith(sentence)


@pytest.mark.parametrize(
    ("low", "high", "relation"),
    [
        (0.0, 0.1, "not distinguishable from"),
        (1e-9, 0.1, "beats"),
        (-0.1, 0.0, "not distinguishable from"),
        (-0.1, -1e-9, "worse than"),
        (0.0, 0.0, "not distinguishable from"),
    ],
)
def test_an_interval_that_touches_zero_tells_no_two_forecasters_apart(low: float, high: float, relation: str) -> None:
    """A difference of 0 is within the interval, its ends included."""
    assert compared("grpo", "sft", low, high).relation == relation


def test_without_rivals_the_second_line_says_so() -> None:
    assert "not compared" in judge(np.full((40, 2), 0.5), np.ones((40, 2))).comparison


@pytest.mark.parametrize(("low", "shown"), [(-1e-9, False), (0.0, False), (1e-9, True)])
def test_an_interval_that_touches_zero_shows_no_skill(low: float, shown: bool) -> None:
    """The burden of proof is the model's: 0 is what the base rate scores, and is within the interval."""
    interval, fixed = Interval(low=low, high=0.5), Interval(low=0.1, high=0.5)
    others = dict.fromkeys(("accuracy", "brier", "log_loss", "return_skill", "coverage"), fixed)
    scores = score(stated(np.array([0.9, 0.1])), np.array([0.01, -0.01]), base_rate=0.5)
    curves = Curves(reliability=[], p_counts=[], cumulative_skill=[])
    evaluated = Evaluated(scores=scores, intervals=ScoreIntervals(brier_skill=interval, **others), curves=curves)
    data = DataSummary(
        source="a test",
        simulated=True,
        train_examples=100,
        test_examples=60,
        symbols=["S0"],
        decision_times=[START + timedelta(days=index) for index in range(60)],
        horizon_days=1,
        horizon_steps=1,
        base_rate=0.5,
        test_up_rate=0.5,
        block_length=4,
        resamples=100,
        seed=0,
    )
    assert verdict("grpo", evaluated, (), data).skill_shown is shown
