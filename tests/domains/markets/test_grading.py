import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error

from cortex.domains.markets.forecasts import Forecasts
from cortex.domains.markets.grading import ABSTENTION, grade_reply
from cortex.domains.markets.measures import MEASURES, SCALE
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.markets.reward_weights import RewardWeights
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure
from tests.evaluation.simulation import stated

N = 400
UNREAD = Graded(ABSTENTION, valid=False)
LOSS = Measure("loss", SCALE.loss)


@pytest.fixture(scope="module")
def outcome() -> np.ndarray:
    return np.random.default_rng(0).standard_t(4, N) * 0.02


def score(graded: list[Graded], outcome: np.ndarray, base_rate: float = 0.5) -> dict[str, float]:
    """Every figure of grades, by name."""
    n = len(outcome)
    reference = Forecasts(np.full(n, base_rate), np.zeros(n), np.full(n, -0.04), np.full(n, 0.05)).graded(outcome)
    grades = Grades.of(graded, reference)
    return {measure.name: grades.figure(measure) for measure in (LOSS, SCALE.skill_measure, *MEASURES)}


def test_figures_agree_with_scikit_learn(outcome: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    p_up, expected = generator.uniform(0.01, 0.99, N), generator.normal(0, 0.01, N)
    low, high = expected - 0.03, expected + 0.03
    valid = generator.random(N) < 0.9
    graded = [
        one if read else UNREAD
        for one, read in zip(Forecasts(p_up, expected, low, high).graded(outcome), valid, strict=True)
    ]
    scores = score(graded, outcome, base_rate=0.45)

    up = outcome > 0
    p_up, expected = np.where(valid, p_up, 0.45), np.where(valid, expected, 0)
    low, high = np.where(valid, low, -0.04), np.where(valid, high, 0.05)
    mae, no_change_mae = mean_absolute_error(outcome, expected), np.abs(outcome).mean()
    assert scores["accuracy"] == pytest.approx(np.mean((p_up > 0.5) == up))
    assert scores["loss"] == pytest.approx(brier_score_loss(up, p_up))
    assert scores["skill"] == pytest.approx(1 - brier_score_loss(up, p_up) / brier_score_loss(up, np.full(N, 0.45)))
    assert scores["log_loss"] == pytest.approx(log_loss(up, p_up))
    assert scores["return_mae"] == pytest.approx(mae)
    assert scores["return_skill"] == pytest.approx(1 - mae / no_change_mae)
    assert scores["coverage"] == pytest.approx(np.mean((low <= outcome) & (outcome <= high)))
    assert scores["interval_width"] == pytest.approx(np.mean(high - low))


def test_figures_by_hand() -> None:
    """Up, down, and an outcome of exactly 0, which is half a rise; a probability of 0.5 is half right."""
    forecasts = Forecasts(
        p_up=np.array([0.8, 0.6, 0.5]),
        expected_return=np.array([0.01, 0.0, 0.0]),
        low=np.array([-0.01, -0.01, 0.0]),
        high=np.array([0.02, 0.01, 0.0]),
    )
    outcome = np.array([0.02, -0.03, 0.0])
    scores = score(forecasts.graded(outcome), outcome)
    assert scores["accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert scores["loss"] == pytest.approx((0.04 + 0.36 + 0) / 3)
    assert scores["skill"] == pytest.approx(1 - (0.04 + 0.36) / 0.5)
    assert scores["return_mae"] == pytest.approx((0.01 + 0.03 + 0) / 3)
    assert scores["coverage"] == pytest.approx(2 / 3), "an interval holds its ends"


def test_an_outcome_of_exactly_0_is_half_a_rise_in_every_figure() -> None:
    outcome = np.array([0.0, 0.0])
    scores = score(stated(np.array([0.9, 0.2])).graded(outcome), outcome, base_rate=0.25)
    assert scores["accuracy"] == 0.5
    assert scores["loss"] == pytest.approx((0.16 + 0.09) / 2)
    assert scores["skill"] == pytest.approx(1 - scores["loss"] / 0.0625)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.1, 0.2, 0.8]).mean())
    assert scores["calibration_error"] == pytest.approx((0.4 + 0.3) / 2)


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    outcome = np.array([-0.01, 0.01])
    scores = score(stated(np.array([1.0, 0.0])).graded(outcome), outcome)
    assert scores["log_loss"] == pytest.approx(-np.log(0.001))


@given(
    outcome=arrays(np.float64, st.integers(1, 50), elements=st.floats(-1, 1)),
    base_rate=st.floats(0.01, 0.99),
)
def test_the_base_rate_has_no_skill_at_all(outcome: np.ndarray, base_rate: float) -> None:
    graded = stated(np.full(len(outcome), base_rate)).graded(outcome)
    assert score(graded, outcome, base_rate)["skill"] == 0


def test_a_market_that_never_moves_leaves_no_return_skill_to_have() -> None:
    outcome = np.zeros(2)
    assert score(stated(np.array([0.5, 0.5])).graded(outcome), outcome)["return_skill"] == 0


def test_a_reply_is_graded_as_the_forecast_that_it_states() -> None:
    """Percent in the reply, fractions in the grade."""
    reply = render_answer(Answer("flow:-2 up", 0.7, "up", 1.0, -2.0, 4.0))
    graded = grade_reply(reply, "NEAR 1d flow:-2", 0.03, RewardWeights())
    (same,) = Forecasts(np.array([0.7]), np.array([0.01]), np.array([-0.02]), np.array([0.04])).graded(np.array([0.03]))
    assert graded.valid and graded.loss == pytest.approx(0.09)
    assert graded.numbers == pytest.approx(dict(same.numbers))
    assert set(graded.parts) == {part.name for part in RewardWeights().parts()}


def test_a_reply_that_cannot_be_read_loses_what_a_coin_does_and_earns_nothing() -> None:
    graded = grade_reply("up", "NEAR 1d flow:-2", 0.03, RewardWeights())
    assert (graded.valid, graded.loss) == (False, 0.25)
    assert set(graded.parts) == {part.name for part in RewardWeights().parts()} and not any(graded.parts.values())


@pytest.mark.parametrize(
    ("p_up", "outcome", "message"),
    [
        ([0.5, 0.5], [0.1], "2 forecasts for 1 outcomes"),
        ([], [], "at least one example"),
        ([0.5], [float("nan")], "outcome of example 0 is nan"),
    ],
)
def test_what_cannot_be_scored_is_refused(p_up: list[float], outcome: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        stated(np.array(p_up)).graded(np.array(outcome))


def test_forecasts_of_unequal_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one value per example"):
        Forecasts(np.full(2, 0.5), np.zeros(2), np.zeros(3), np.zeros(2))
