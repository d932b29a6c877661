import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cortex.domains.markets.forecasts import Climatology, Forecasts
from cortex.domains.markets.measures import MEASURES, SCALE
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades

CLIMATOLOGY = Climatology(base_rate=0.52, low=-0.04, high=0.05)
UNREAD = Graded(0.25, valid=False)
RETURN_SKILL = next(measure for measure in MEASURES if measure.name == "return_skill")

outcomes = arrays(np.float64, st.integers(1, 40), elements=st.floats(-0.5, 0.5))


def test_climatology_is_estimated_from_outcomes() -> None:
    outcome = np.linspace(-1, 1, 201)
    climatology = Climatology.of(outcome)
    assert climatology.base_rate == 100.5 / 201, "an outcome of exactly 0 is half a rise"
    assert climatology.low == pytest.approx(-0.9)
    assert climatology.high == pytest.approx(0.9)


def know_nothing(outcome: np.ndarray) -> list[Graded]:
    """Grades of the climatology's forecasts."""
    n = len(outcome)
    stated = (np.full(n, value) for value in (CLIMATOLOGY.base_rate, 0.0, CLIMATOLOGY.low, CLIMATOLOGY.high))
    return Forecasts(*stated).graded(outcome)


def test_an_answer_that_cannot_be_read_becomes_the_climatology() -> None:
    outcome = np.array([0.02, 0.03, -0.05])
    answered = Forecasts(
        np.array([0.7, 0.9, 0.6]), np.array([0.01, 0.02, 0.0]), np.array([-0.02, -0.01, -0.01]), np.full(3, 0.04)
    ).graded(outcome)
    grades = Grades.of([answered[0], UNREAD, UNREAD], know_nothing(outcome))
    assert grades.valid.tolist() == [True, False, False]
    assert grades.values("p_up").tolist() == [0.7, 0.52, 0.52]
    assert grades.loss.tolist() == pytest.approx([0.09, 0.48**2, 0.52**2])
    assert grades.values("absolute_error").tolist() == pytest.approx([0.01, 0.03, 0.05])
    assert grades.values("covered").tolist() == [1, 1, 0]
    assert grades.values("width").tolist() == pytest.approx([0.06, 0.09, 0.09])


@given(outcome=outcomes)
def test_a_model_that_only_refuses_scores_what_knowing_nothing_scores(outcome: np.ndarray) -> None:
    grades = Grades.of([UNREAD] * len(outcome), know_nothing(outcome))
    assert grades.figure(SCALE.skill_measure) == 0
    assert grades.figure(RETURN_SKILL) == 0
    assert grades.valid.mean() == 0


@settings(deadline=None)
@given(
    p_up=arrays(np.float64, 30, elements=st.floats(0, 1)),
    refused=arrays(np.bool_, 30),
)
def test_refusing_never_gains_on_an_honest_answer(p_up: np.ndarray, refused: np.ndarray) -> None:
    """If the stated probability is the true one, replacing it by a refusal cannot lower the expected Brier score."""

    def brier(outcome: np.ndarray, refused: np.ndarray) -> np.ndarray:
        honest = Forecasts(p_up, np.zeros(30), np.zeros(30), np.zeros(30)).graded(outcome)
        given = [UNREAD if gone else one for one, gone in zip(honest, refused, strict=True)]
        return Grades.of(given, know_nothing(outcome)).loss

    def expected_brier(refused: np.ndarray) -> float:
        rose, fell = brier(np.full(30, 0.01), refused), brier(np.full(30, -0.01), refused)
        return float(np.mean(p_up * rose + (1 - p_up) * fell))

    assert expected_brier(refused) >= expected_brier(np.zeros(30, dtype=np.bool_)) - 1e-12


@pytest.mark.parametrize(
    ("p_up", "expected_return", "low", "high", "message"),
    [
        ([0.5], [0.0], [0.0, 0.0], [0.0], "shapes"),
        ([1.2], [0.0], [0.0], [0.0], "p_up of example 0 is 1.2"),
        ([0.5, float("nan")], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], "p_up of example 1 is nan"),
        ([0.5], [float("inf")], [0.0], [0.0], "expected_return of example 0 is inf"),
        ([0.5], [0.0], [0.1], [-0.1], "low of example 0"),
    ],
)
def test_numbers_that_are_no_forecast_are_refused(
    p_up: list[float], expected_return: list[float], low: list[float], high: list[float], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Forecasts(*map(np.array, (p_up, expected_return, low, high)))


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ([], "at least one example"),
        ([0.1, float("nan")], "example 1 is nan"),
        ([0.1, 0.2], "base rate of up is 1.0"),
        ([-0.1, 0.0], "base rate of up is 0.0"),
    ],
)
def test_outcomes_that_give_no_climatology_are_refused(outcome: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Climatology.of(np.array(outcome))
