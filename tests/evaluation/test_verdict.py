import re

import numpy as np
import pytest

from cortex.evaluation.bootstrap import Resamples, measure_interval
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.confidence import Interval
from cortex.evaluation.measure import Scale
from cortex.evaluation.record import Comparison, DataSummary, Evaluated, Verdict
from cortex.evaluation.tries import Tries
from cortex.evaluation.verdict import FIRST, verdict
from tests.evaluation.simulation import MARKETS, make_clusters, make_grades

SCALE = MARKETS.scale


def make_summary(clusters: Clusters, block_length: int) -> DataSummary:
    return DataSummary(
        domain="a test",
        source="a test",
        simulated=True,
        train_examples=1000,
        test_examples=len(clusters.of),
        clusters=len(clusters),
        times=list(clusters.times),
        span=clusters.span,
        block_length=block_length,
        resamples=300,
        seed=0,
        facts={},
    )


def judge(
    p_up: np.ndarray,
    outcome: np.ndarray,
    *,
    horizon: int = 1,
    valid_share: float = 1.0,
    comparisons: tuple[Comparison, ...] = (),
    seed: int = 0,
    is_timed: bool = True,
    scale: Scale = SCALE,
    tries: Tries = FIRST,
) -> Verdict:
    """The verdict on probabilities and outcomes, both given as dates by symbols."""
    dates, symbols = p_up.shape
    clusters = make_clusters(dates, symbols, span=horizon, is_timed=is_timed)
    drawn = Resamples.draw(clusters, resamples=300, seed=seed)
    valid = np.arange(p_up.size) >= round((1 - valid_share) * p_up.size)
    grades = make_grades(p_up.ravel(), outcome.ravel() > 0, valid=valid)
    evaluated = Evaluated(
        n=len(grades),
        loss=float(grades.loss.mean()),
        skill=grades.figure(scale.skill_measure),
        valid_share=float(valid.mean()),
        measures={},
        intervals={"skill": measure_interval(drawn, grades, scale.skill_measure)},
    )
    return verdict("grpo", evaluated, comparisons, make_summary(clusters, drawn.block_length), scale, tries)


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


def test_confident_noise_is_harmful_and_says_by_how_much() -> None:
    generator = np.random.default_rng(0)
    result = judge(generator.uniform(0, 1, (100, 5)), generator.normal(size=(100, 5)))
    assert (result.outcome, result.headline, result.skill_shown) == ("harmful", "harmful", False)
    assert result.reason.startswith("Brier skill against the base rate is -0.3")
    assert "the base rate does better" in result.reason


def test_a_test_that_would_have_shown_what_is_worth_having_says_that_there_is_none() -> None:
    """Timid noise can neither gain nor lose much: a test of 400 dates sees that."""
    generator = np.random.default_rng(4)
    result = judge(generator.uniform(0.49, 0.51, (400, 5)), generator.normal(size=(400, 5)))
    assert result.outcome == "not shown" and result.headline == "no skill shown"
    assert result.least_skill < SCALE.worth


def test_a_test_that_would_miss_what_is_worth_having_says_how_large_it_would_have_to_be() -> None:
    """A bold forecaster's luck is large. As many dates as are said to be needed show the least skill worth having."""
    generator = np.random.default_rng(7)
    p_up = generator.uniform(0.3, 0.7, (60, 1))
    outcome = np.where(generator.random((60, 1)) < 0.5, 0.01, -0.01)
    result = judge(p_up, outcome, is_timed=False)
    assert result.outcome == "cannot be told" and result.headline == "skill cannot be told"
    assert result.least_skill > SCALE.worth
    needed = int(re.findall(r"told by about ([0-9,]+) decision dates", result.reason)[0].replace(",", ""))
    assert needed == pytest.approx(60 * (result.least_skill / SCALE.worth) ** 2, abs=1)
    rows = generator.uniform(0.3, 0.7, (needed, 1))
    longer = judge(rows, np.where(generator.random((needed, 1)) < 0.5, 0.01, -0.01), is_timed=False)
    assert longer.least_skill == pytest.approx(SCALE.worth, rel=0.15)


def test_the_sample_that_is_said_to_show_the_observed_skill_does_show_it() -> None:
    """Four in five tests of the said size, drawn anew from the same signal, show skill."""
    generator = np.random.default_rng(12)

    def drawn(dates: int) -> Verdict:
        p_up = generator.choice([0.4, 0.6], size=(dates, 1))
        return judge(p_up, np.where(generator.random((dates, 1)) < p_up, 0.01, -0.01), is_timed=False)

    least = drawn(200).least_skill
    needed = round(200 * (least / 0.04) ** 2)  # the true skill: (2 * 0.1)^2
    assert 0.7 <= np.mean([drawn(needed).skill_shown for _ in range(100)]) <= 0.9


def test_each_further_model_has_to_reach_further() -> None:
    generator = np.random.default_rng(0)
    p_up = generator.choice([0.4, 0.6], size=(300, 1))
    outcome = np.where(generator.random((300, 1)) < p_up, 0.01, -0.01)
    first, second, hundredth = (judge(p_up, outcome, tries=Tries(models=k)) for k in (1, 2, 100))
    assert first.skill_shown and "has now judged" not in first.reason
    assert first.interval.low > second.interval.low > 0 > hundredth.interval.low
    assert hundredth.outcome in {"not shown", "cannot be told"}
    assert "has now judged 2 models." in second.reason and "worn" not in second.reason
    assert "has now judged 100 models, and is worn" in hundredth.reason


def test_trials_that_validation_compared_are_named_and_are_no_tries() -> None:
    generator = np.random.default_rng(0)
    p_up = generator.choice([0.4, 0.6], size=(300, 1))
    outcome = np.where(generator.random((300, 1)) < p_up, 0.01, -0.01)
    alone, chosen, second = (
        judge(p_up, outcome, tries=each) for each in (Tries(), Tries(trials=12), Tries(models=2, trials=2))
    )
    named = "It was chosen among 12 trials by validation alone: the 11 others were not judged on the test set."
    assert named in chosen.reason and "chosen among" not in alone.reason
    assert (chosen.interval, chosen.outcome) == (alone.interval, alone.outcome)
    assert "among 2 trials by validation alone: the other was not" in second.reason
    assert "has now judged 2 models." in second.reason and second.interval.low < alone.interval.low


def test_all_tries_together_have_twice_the_error_of_the_first() -> None:
    shares = [Tries(models=k).share for k in range(1, 1001)]
    assert shares[0] == 1 and shares[1] == 0.5 and sorted(shares, reverse=True) == shares
    assert 1.99 < sum(shares) < 2


@pytest.mark.parametrize(("dates", "horizon", "needed"), [(29, 1, 30), (69, 7, 70)])
def test_too_few_dates_show_no_skill_however_good_the_score(dates: int, horizon: int, needed: int) -> None:
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(dates, 8))
    p_up = np.where(outcome > 0, 0.95, 0.05)
    result = judge(p_up, outcome, horizon=horizon)
    assert result.outcome == "cannot be told"
    assert f"has {dates} decision dates, too few to judge by: {needed} are needed" in result.reason
    longer = np.concatenate([outcome, outcome[:1]])
    assert judge(np.where(longer > 0, 0.95, 0.05), longer, horizon=horizon).skill_shown


def test_a_model_that_mostly_refuses_shows_no_skill() -> None:
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(60, 5))
    p_up = np.where(outcome > 0, 0.9, 0.1)
    result = judge(p_up, outcome, valid_share=0.4)
    assert result.outcome == "cannot be told"
    assert "Only 40% of the answers could be read" in result.reason
    assert judge(p_up, outcome, valid_share=0.6).skill_shown


def test_a_model_that_answers_just_half_of_what_it_is_asked_is_judged() -> None:
    """The refusal says "50% are needed", so only less than half is too few."""
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(60, 5))
    p_up = np.where(outcome > 0, 0.9, 0.1)
    assert judge(p_up, outcome, valid_share=150 / 300).skill_shown
    assert "50% are needed" in judge(p_up, outcome, valid_share=149 / 300).reason


def compared(first: str, second: str, low: float, high: float) -> Comparison:
    return Comparison(first=first, second=second, difference=(low + high) / 2, interval=Interval(low=low, high=high))


@pytest.mark.parametrize(
    ("momentum", "regression", "sentence", "outcome"),
    [
        ((0.01, 0.02), (0.01, 0.03), "It beats momentum and logistic regression (paired", "shown"),
        ((0.01, 0.02), (-0.03, -0.01), "It beats momentum, and is worse than logistic regression (paired", "harmful"),
        ((-0.01, 0.02), (-0.01, 0.01), "It is not distinguishable from momentum and logistic regression", "not shown"),
        ((0.01, 0.02), (-0.001, 0.02), "It beats momentum, and is not distinguishable from logistic", "not shown"),
        # Worse than one of two by 95%, but not by the 97.5% that looking for the better of two asks for.
        ((0.01, 0.02), (-0.02, -0.0001), "It beats momentum, and is worse than logistic regression", "not shown"),
    ],
)
def test_the_second_line_compares_with_the_simple_rivals(
    momentum: tuple[float, float], regression: tuple[float, float], sentence: str, outcome: str
) -> None:
    comparisons = (
        compared("sft", "momentum", -1, -0.5),
        compared("grpo", "momentum", *momentum),
        compared("grpo", "logistic_regression", *regression),
        compared("grpo", "oracle", -1, -0.5),
    )
    result = judge(np.full((40, 2), 0.5), np.ones((40, 2)), comparisons=comparisons)
    assert result.comparison.startswith(sentence)
    assert result.against_rivals == outcome


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
    """The burden of proof is the model's: 0 is the base rate's own score, and lies within the interval."""
    evaluated = Evaluated(
        n=60,
        loss=0.2,
        skill=0.2,
        valid_share=1.0,
        measures={},
        intervals={"skill": Interval(low=low, high=0.5), "loss": Interval(low=0.1, high=0.5)},
    )
    data = make_summary(make_clusters(60), block_length=4)
    assert verdict("grpo", evaluated, (), data, SCALE).skill_shown is shown


def test_the_words_are_the_domain_s_own() -> None:
    scale = Scale("error rate", "error skill", "puzzles", reference="first_move", rivals=("greedy",), replies="moves")
    outcome = np.random.default_rng(0).choice([-0.01, 0.01], size=(29, 5))
    p_up = np.where(outcome > 0, 0.9, 0.1)
    result = judge(p_up, outcome, scale=scale, is_timed=False, comparisons=(compared("grpo", "greedy", 0.1, 0.2),))
    assert result.reason.startswith("The test split has 29 puzzles, too few to judge by: 30 are needed.")
    assert "error skill against the first move is " in result.reason and "of 29 puzzles." in result.reason
    assert result.comparison.startswith("It beats greedy (paired 95% intervals of the error rate). ")
    assert result.outcome == result.against_rivals == "cannot be told"
    few = judge(np.tile(p_up, (2, 1)), np.tile(outcome, (2, 1)), scale=scale, is_timed=False, valid_share=0.4)
    assert few.reason.startswith("Only 40% of the moves could be read; 50% are needed.")
