"""Trials as they are drawn: the same each time, by outcomes of earlier rounds, and none twice."""

import math
from typing import Any

import pytest

from cortex.runs.trial_record import TrialRecord
from cortex.search.search_plan import SearchPlan
from cortex.search.trial_drawing import is_behind, next_round
from cortex.search.trial_outcome import Outcome, State
from tests.search.stand_in import make_plan

RATE = "grpo.learning_rate"
SPAN = {RATE: {"low": 1e-6, "high": 1e-1, "log": True}}


def ended(number: int, parameters: dict[str, Any], *losses: float, state: State = "finished") -> Outcome:
    record = TrialRecord(search="s", number=number, run=f"s-{number}", parameters=parameters, dollars=0.0)
    return Outcome(record, state, {10 * step: loss for step, loss in enumerate(losses, 1)})


def searched(plan: SearchPlan, best: float) -> list[float]:
    """The rates of a whole search, whose loss is lowest at `best`."""
    found: list[Outcome] = []
    while drawn := next_round(plan, found):
        found += [
            ended(number, parameters, abs(math.log10(float(str(parameters[RATE])) / best)))
            for number, parameters in enumerate(drawn, len(found) + 1)
        ]
    return [float(str(one.trial.parameters[RATE])) for one in found]


def test_tpe_goes_where_losses_were_low_and_random_does_not() -> None:
    for best in (1e-5, 1e-2):
        tpe, random = (
            searched(make_plan(SPAN, method=method, trials=20, seed=1), best) for method in ("tpe", "random")
        )
        near = [[abs(math.log10(rate / best)) < 1 for rate in rates[8:]] for rates in (tpe, random)]
        assert sum(near[0]) > sum(near[1]) and sum(near[0]) >= 6
        assert len(set(tpe)) == 20


def test_a_round_is_drawn_the_same_each_time_and_its_seed_matters() -> None:
    plans = [make_plan(SPAN, method="tpe", trials=8, at_once=4, seed=seed) for seed in (3, 3, 4)]
    first, again, other = (searched(plan, 1e-3) for plan in plans)
    assert first == again != other
    assert all(1e-6 <= rate <= 1e-1 and rate == float(f"{rate:.6g}") for rate in first)


def test_few_choices_are_each_tried_once_and_then_the_search_ends() -> None:
    choices = {RATE: [1e-4, 1e-3], "grpo.scheduler": ["linear", "cosine"], "grpo.warmup_steps": {"low": 1, "high": 2}}
    plan = make_plan(choices, method="random", trials=30, at_once=3)
    found: list[Outcome] = []
    while drawn := next_round(plan, found):
        found += [ended(len(found) + index, each, 0.5) for index, each in enumerate(drawn, 1)]
    tried = [tuple(one.trial.parameters.values()) for one in found]
    assert len(tried) == len(set(tried)) == 8
    assert {type(value) for value in tried[0]} == {float, str, int}


def test_a_grid_has_all_combinations_in_order() -> None:
    plan = make_plan({RATE: [1e-4, 1e-3], "grpo.beta": [0.0, 0.1]}, at_once=3)
    first = next_round(plan, [])
    rest = next_round(plan, [ended(number, each, 0.5) for number, each in enumerate(first, 1)])
    assert [tuple(each.values()) for each in (*first, *rest)] == [(1e-4, 0.0), (1e-4, 0.1), (1e-3, 0.0), (1e-3, 0.1)]


@pytest.mark.parametrize(
    ("curve", "step"),
    [
        ({10: 0.9}, 10),
        ({10: 0.5, 20: 0.41}, 20),
        ({10: 0.5, 20: 0.4, 30: 0.3}, None),
        ({10: 0.4, 20: 0.45}, None),
        ({15: 0.9}, None),
        ({}, None),
    ],
)
def test_a_trial_is_behind_where_its_best_is_above_the_median(curve: dict[int, float], step: int | None) -> None:
    plan = make_plan(SPAN, stop_behind=3)
    earlier = [ended(number, {RATE: 10.0**-number}, loss, loss - 0.1) for number, loss in enumerate((0.4, 0.5, 0.6), 1)]
    assert is_behind(plan, curve, earlier) == step
    assert is_behind(plan, curve, earlier[:2]) is None, "too few to tell"
    assert is_behind(make_plan(SPAN, stop_behind=None), curve, earlier) is None
