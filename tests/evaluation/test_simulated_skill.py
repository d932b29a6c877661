"""Verdicts on simulated forecasts whose skill is known: `scripts/bench/verdicts.py` on a few cases."""

import pytest

from cortex.evaluation.tries import Tries
from scripts.bench.verdicts import FALSE, NULLS, SIGNALS, TRIES, Case, best_of, simulate
from tests.drawn_cases import draw_cases

pytestmark = pytest.mark.integration

SEEDS = 150
BY_CHANCE = 0.06
"""Difference of a share in so many seeds from its true value, which is exceeded once in a thousand times at 0.95."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in draw_cases(NULLS, 2)])
def test_without_skill_hardly_any_is_shown_and_intervals_hold(case: Case) -> None:
    found = simulate(case, SEEDS)
    assert found.shown <= FALSE
    assert found.coverage >= 0.93 - BY_CHANCE


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in SIGNALS if case.signal == 0.6])
def test_skill_that_theory_says_can_be_seen_is_seen(case: Case) -> None:
    found = simulate(case, SEEDS)
    assert found.theory > 0.95 and found.shown >= 0.9


def test_the_best_of_twenty_without_skill_is_called_skilled_where_nobody_counts() -> None:
    market, seeds = Case("tries", dates=120), 60
    counted = best_of(market, TRIES, seeds, lambda k: Tries(models=k))
    uncounted = best_of(market, TRIES, seeds, lambda _: Tries(models=1))
    assert counted <= FALSE < uncounted
