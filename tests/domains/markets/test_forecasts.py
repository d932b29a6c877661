import numpy as np
import pytest
from cortex.domains.markets.scores import score
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cortex.domains.markets.forecasts import Climatology, Forecasts
from cortex.errors import DataError

CLIMATOLOGY = Climatology(base_rate=0.52, low=-0.04, high=0.05)

outcomes = arrays(np.float64, st.integers(1, 40), elements=st.floats(-0.5, 0.5))


def test_climatology_is_estimated_from_outcomes() -> None:
    outcome = np.linspace(-1, 1, 201)
    climatology = Climatology.of(outcome)
    assert climatology.base_rate == 100 / 201, "an outcome of exactly 0 is not up"
    assert climatology.low == pytest.approx(-0.9)
    assert climatology.high == pytest.approx(0.9)


def test_an_answer_with_any_part_missing_becomes_the_climatology() -> None:
    forecasts = Forecasts.from_answers(
        [0.7, None, 0.6], [0.01, 0.02, 0.0], [-0.02, -0.01, None], [0.03, 0.04, 0.05], CLIMATOLOGY
    )
    assert forecasts.valid.tolist() == [True, False, False]
    assert forecasts.p_up.tolist() == [0.7, 0.52, 0.52]
    assert forecasts.expected_return.tolist() == [0.01, 0, 0]
    assert forecasts.low.tolist() == [-0.02, -0.04, -0.04]
    assert forecasts.high.tolist() == [0.03, 0.05, 0.05]


@given(outcome=outcomes)
def test_a_model_that_only_refuses_scores_what_knowing_nothing_scores(outcome: np.ndarray) -> None:
    nothing = [None] * len(outcome)
    refusing = Forecasts.from_answers(nothing, nothing, nothing, nothing, CLIMATOLOGY)
    scores = score(refusing, outcome, CLIMATOLOGY.base_rate)
    assert scores.brier_skill == 0
    assert scores.return_skill == 0
    assert scores.valid_share == 0


@given(
    p_up=arrays(np.float64, 30, elements=st.floats(0, 1)),
    refused=arrays(np.bool_, 30),
)
def test_refusing_never_gains_on_an_honest_answer(p_up: np.ndarray, refused: np.ndarray) -> None:
    """Where the stated probability is the true one, replacing it by a refusal cannot lower the expected Brier score."""
    zeros = [0.0] * len(p_up)
    answers = [None if gone else float(p) for p, gone in zip(p_up, refused, strict=True)]
    partly = Forecasts.from_answers(answers, zeros, zeros, zeros, CLIMATOLOGY)

    def expected_brier(stated: np.ndarray) -> float:
        return float(np.mean(p_up * (1 - stated) ** 2 + (1 - p_up) * stated**2))

    assert expected_brier(partly.p_up) >= expected_brier(p_up) - 1e-12


@pytest.mark.parametrize(
    ("p_up", "expected_return", "low", "high", "message"),
    [
        ([0.5], [0.0], [0.0, 0.0], [0.0], "lengths"),
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
        Forecasts.from_answers(p_up, expected_return, low, high, CLIMATOLOGY)


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
