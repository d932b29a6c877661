import numpy as np
import pytest
from cortex.domains.markets.scores import score, skill
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error

from cortex.domains.markets.forecasts import Forecasts
from cortex.errors import DataError
from cortex.evaluation.record import Scores
from tests.evaluation.simulation import stated

N = 400


@pytest.fixture(scope="module")
def outcome() -> np.ndarray:
    return np.random.default_rng(0).standard_t(4, N) * 0.02


def test_scores_agree_with_scikit_learn(outcome: np.ndarray) -> None:
    generator = np.random.default_rng(1)
    p_up, expected = generator.uniform(0.01, 0.99, N), generator.normal(0, 0.01, N)
    low, high = expected - 0.03, expected + 0.03
    valid = generator.random(N) < 0.9
    up = outcome > 0
    scores = score(Forecasts(p_up, expected, low, high, valid), outcome, base_rate=0.45)

    assert scores.n == N
    assert scores.valid_share == pytest.approx(valid.mean())
    assert scores.accuracy == pytest.approx(np.mean((p_up > 0.5) == up))
    assert scores.brier == pytest.approx(brier_score_loss(up, p_up))
    assert scores.brier_skill == pytest.approx(1 - brier_score_loss(up, p_up) / brier_score_loss(up, np.full(N, 0.45)))
    assert scores.log_loss == pytest.approx(log_loss(up, p_up))
    assert scores.return_mae == pytest.approx(mean_absolute_error(outcome, expected))
    assert scores.no_change_mae == pytest.approx(np.abs(outcome).mean())
    assert scores.return_skill == pytest.approx(1 - scores.return_mae / scores.no_change_mae)
    assert scores.coverage == pytest.approx(np.mean(np.abs(outcome - expected) <= 0.03))
    assert scores.interval_width == pytest.approx(0.06)


def test_scores_by_hand() -> None:
    """Up, down, and an outcome of exactly 0, which is not up; a probability of 0.5 is half right."""
    forecasts = Forecasts(
        p_up=np.array([0.8, 0.6, 0.5]),
        expected_return=np.array([0.01, 0.0, 0.0]),
        low=np.array([-0.01, -0.01, 0.0]),
        high=np.array([0.02, 0.01, 0.0]),
        valid=np.array([True, True, False]),
    )
    scores = score(forecasts, np.array([0.02, -0.03, 0.0]), base_rate=0.5)
    assert scores.accuracy == pytest.approx((1 + 0 + 0.5) / 3)
    assert scores.brier == pytest.approx((0.04 + 0.36 + 0.25) / 3)
    assert scores.brier_skill == pytest.approx(1 - (0.04 + 0.36 + 0.25) / 0.75)
    assert scores.return_mae == pytest.approx((0.01 + 0.03 + 0) / 3)
    assert scores.coverage == pytest.approx(2 / 3), "an interval holds its ends"


def test_an_outcome_of_exactly_0_is_not_up_in_any_score() -> None:
    """A forecast states the probability of a rise, and a price that ends where it began has not risen."""
    scores = score(stated(np.array([0.9, 0.2])), np.array([0.0, 0.0]), base_rate=0.25)
    assert scores.accuracy == 0.5
    assert scores.brier == pytest.approx((0.81 + 0.04) / 2)
    assert scores.brier_skill == pytest.approx(1 - scores.brier / 0.0625)
    assert scores.log_loss == pytest.approx(-np.log([0.1, 0.8]).mean())
    assert scores.calibration_error == pytest.approx((0.9 + 0.2) / 2)


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    scores = score(stated(np.array([1.0, 0.0])), np.array([-0.01, 0.01]), base_rate=0.5)
    assert scores.log_loss == pytest.approx(-np.log(0.001))


@given(
    outcome=arrays(np.float64, st.integers(1, 50), elements=st.floats(-1, 1)),
    base_rate=st.floats(0.01, 0.99),
)
def test_the_base_rate_has_no_skill_at_all(outcome: np.ndarray, base_rate: float) -> None:
    assert score(stated(np.full(len(outcome), base_rate)), outcome, base_rate).brier_skill == 0


def test_a_market_that_never_moves_leaves_no_return_skill_to_have() -> None:
    assert score(stated(np.array([0.5, 0.5])), np.zeros(2), base_rate=0.5).return_skill == 0
    assert skill(np.array([1.0, 1.0]), np.array([0.0, 2.0])).tolist() == [0, 0.5]


def test_scores_survive_json(outcome: np.ndarray) -> None:
    scores = score(stated(np.full(N, 0.4)), outcome, base_rate=0.5)
    assert Scores.model_validate_json(scores.model_dump_json()) == scores


@pytest.mark.parametrize(
    ("p_up", "outcome", "base_rate", "message"),
    [
        ([0.5, 0.5], [0.1], 0.5, "2 forecasts for 1 outcomes"),
        ([], [], 0.5, "at least one example"),
        ([0.5], [float("nan")], 0.5, "outcome of example 0 is nan"),
        ([0.5], [0.1], 1.0, "base rate of up is 1.0"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    p_up: list[float], outcome: list[float], base_rate: float, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        score(stated(np.array(p_up)), np.array(outcome), base_rate)


def test_forecasts_of_unequal_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one value per example"):
        Forecasts(np.full(2, 0.5), np.zeros(2), np.zeros(3), np.zeros(2), np.ones(2, dtype=np.bool_))
