"""A judged model's standing among its baselines, from real evaluations of made-up forecasts."""

from functools import cache

import pytest

from cortex.evaluation.record import Evaluation
from cortex.runs.model_standing import standing
from tests.evaluation.simulation import judge, make_examples, stated


@cache
def evaluation(share: float, strength: float = 1.2) -> Evaluation:
    """An evaluation of forecasts that know so much of the truth: 0 is the base rate of 0.5, 1 the whole."""
    examples = make_examples(dates=150, strength=strength)
    test = examples.filter(split="test")
    models = {"grpo": stated(share * (test["oracle_p_up"].to_numpy() - 0.5) + 0.5)}
    return judge({name: each.graded(test["outcome"].to_numpy()) for name, each in models.items()}, examples)


@pytest.mark.parametrize(("share", "beaten"), [(0.0, "none"), (0.6, "reference")])
def test_a_model_stands_where_its_intervals_put_it(share: float, beaten: str) -> None:
    found = standing(evaluation(share))
    assert found.beaten == beaten
    assert found.low <= found.value <= found.high
    assert found.name == "brier_skill" and found.best is not None


def test_the_best_attainable_is_no_baseline() -> None:
    judged = evaluation(0.6)
    found = standing(judged)
    assert found.baseline != "oracle"
    attainable = {name: each.skill for name, each in judged.baselines.items() if name != "oracle"}
    assert found.baseline_value == max(attainable.values()) == attainable[found.baseline]


def test_all_are_beaten_only_where_each_comparison_is_won() -> None:
    judged = evaluation(0.6)
    weak = [one for one in judged.comparisons if one.second in ("oracle", "trailing_base_rate", "momentum")]
    left = {name: judged.baselines[name] for name in ("oracle", "trailing_base_rate", "momentum")}
    few = judged.model_copy(update={"comparisons": weak, "baselines": left})
    assert standing(few).beaten == "all"
