"""The effective number of outcomes, and the least skill that so many can show."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from cortex.auditing.audit_record import SplitPower
from cortex.auditing.power import split_power
from cortex.domains.audit_view import AuditView
from cortex.domains.audit_words import view_words
from cortex.domains.example_columns import one_turn

DATES, SERIES = 400, 8


def power(happened: np.ndarray, span: int = 1) -> SplitPower:
    """The power of a panel of outcomes (dates x series)."""
    dates, series = happened.shape
    first = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    times = pl.Series([first + dt.timedelta(days=day) for day in range(dates) for _ in range(series)])
    rows = pl.DataFrame({"at": times, "cluster": times.cast(pl.String), "series": [*map(str, range(series))] * dates})
    outcome = pl.Series(happened.ravel())
    tokens = pl.Series([[""]] * len(rows))
    return split_power(rows, AuditView(tokens, 1.0, series="series", outcome=outcome, happened=outcome), span)


def coins(dates: int = DATES, series: int = SERIES) -> np.ndarray:
    return (np.random.default_rng(0).random((dates, series)) < 0.5).astype(float)


def test_independent_outcomes_count_each() -> None:
    found = power(coins())
    assert found.independent == pytest.approx(DATES * SERIES, rel=0.03)
    assert found.base_rate == pytest.approx(0.5, abs=0.03)
    assert found.examples == DATES * SERIES


def test_outcomes_that_are_the_same_on_a_date_count_once() -> None:
    assert power(np.repeat(coins(series=1), SERIES, axis=1)).independent == pytest.approx(DATES, rel=0.01)


def test_outcomes_that_are_opposite_on_a_date_count_once_too() -> None:
    first = coins(series=1)
    mirrored = np.concatenate([first, 1 - first] * (SERIES // 2), axis=1)
    assert power(mirrored).independent == pytest.approx(DATES, rel=0.01)


def test_outcomes_over_several_dates_count_by_their_number() -> None:
    assert power(coins(), span=7).independent == pytest.approx(power(coins()).independent / 7)


def test_one_outcome_shows_no_skill() -> None:
    found = power(coins(dates=1))
    assert (found.independent, found.detectable_skill) == (1.0, 1.0)


def test_the_least_skill_is_seen_in_four_of_five_periods() -> None:
    outcomes = coins(series=1)
    skill = power(outcomes).detectable_skill
    dice = np.random.default_rng(1)
    forecast = 0.5 + dice.choice([-1, 1], (1500, DATES)) * (skill * 0.25) ** 0.5
    rose = dice.random(forecast.shape) < forecast
    advantage = 0.25 - (forecast - rose) ** 2
    assert advantage.mean() / 0.25 == pytest.approx(skill, rel=0.05)
    seen = advantage.mean(axis=1) / (advantage.std(axis=1) / DATES**0.5) > 1.96
    assert 0.76 < seen.mean() < 0.84


def test_answers_without_a_number_count_by_their_clusters() -> None:
    rows = pl.DataFrame(
        {
            "at": pl.Series([None] * 6, dtype=pl.Datetime("us", "UTC")),
            "cluster": list("aabbcc"),
            "truth": [json.dumps(truth) for truth in ("x", "x", "x", "y", "y", "z")],
            "messages": one_turn(pl.Series(["word"] * 6)),
        }
    )
    found = split_power(rows, view_words(rows), 1)
    assert (found.independent, found.base_rate) == (3, 0.5)
    assert found.detectable_skill == pytest.approx(0.723, abs=0.001)
