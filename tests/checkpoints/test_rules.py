"""A training's rules: when it validates and stops, and which of its weights become the model."""

import json
from typing import Any

import pytest

from cortex.checkpoints.rules import RULES_VARIABLE, TrainingRules
from cortex.profiles.profile_file import load_profile
from cortex.profiles.trainer_sections import Collapse, Grpo
from tests.grpo_section import grpo_of

RULES = TrainingRules(validate_steps=10, patience=2, collapse=Collapse(window=3))


def validated(*losses: float) -> list[dict[str, Any]]:
    """A history in which every tenth step was validated."""
    return [
        entry
        for number, loss in enumerate(losses, start=1)
        for entry in ({"step": 10 * number, "loss": 1.0}, {"step": 10 * number, "eval_loss": loss})
    ]


def trained(**metrics: float) -> list[dict[str, Any]]:
    return [{"step": step, "loss": 0.0, **metrics} for step in range(1, 4)]


def test_the_least_loss_is_the_best_and_of_equals_the_earlier() -> None:
    assert [step for step, _ in RULES.ranked(validated(3.0, 1.0, 2.0, 1.0))] == [20, 40, 30, 10]
    assert RULES.ranked([]) == []
    assert RULES.ranked(trained()) == []


def test_a_validation_that_is_no_number_is_never_the_best_but_counts_against_patience() -> None:
    history = validated(2.0, float("nan"), float("inf"))
    assert RULES.ranked(history) == [(10, 2.0)]
    assert RULES.out_of_patience(history)


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ((1.0,), False),
        ((1.0, 2.0), False),
        ((1.0, 2.0, 2.0), True),
        ((1.0, 2.0, 0.5, 0.6), False),
        ((2.0, 2.0, 2.0), True),
    ],
)
def test_it_stops_after_so_many_validations_without_a_better_one(losses: tuple[float, ...], stops: bool) -> None:
    reason = RULES.out_of_patience(validated(*losses))
    assert (reason is not None) is stops
    if reason:
        assert "2 validations without one better than that of step 10" in reason
    assert RULES.model_copy(update={"patience": None}).out_of_patience(validated(*losses)) is None


def test_a_validation_made_twice_after_a_resume_counts_once() -> None:
    history = [*validated(1.0, 2.0), {"step": 20, "eval_loss": 2.0}]
    assert RULES.out_of_patience(history) is None


@pytest.mark.parametrize(
    ("metrics", "bounds", "said"),
    [
        ({"frac_reward_zero_std": 1.0}, {}, "1 of the groups have answers that were all paid alike"),
        ({"completions/clipped_ratio": 0.99}, {}, "0.99 of the answers are cut off"),
        ({"entropy": 0.01}, {"min_entropy": 0.05}, "0.01 nats of entropy a token (collapse.min_entropy 0.05)"),
        ({"completions/mean_length": 3.0}, {"min_length": 10.0}, "3 tokens an answer"),
        ({"kl": 9.0}, {"max_kl": 1.0}, "9 nats a token away"),
        ({"entropy": float("nan")}, {"min_entropy": 0.05}, "nan nats"),
    ],
)
def test_a_collapse_is_told_with_its_figures(metrics: dict[str, float], bounds: dict[str, float], said: str) -> None:
    rules = TrainingRules(collapse=Collapse(window=3, **bounds))
    reason = rules.collapsed(trained(**metrics))
    assert reason and said in reason and "over the last 3 steps" in reason
    assert rules.collapsed(trained(**metrics)[:2]) is None, "not before the window is full"
    assert TrainingRules().collapsed(trained(**metrics)) is None


def test_a_sound_training_is_no_collapse() -> None:
    sound = [*trained(frac_reward_zero_std=0.3, entropy=1.0, kl=0.1), {"step": 3, "eval_loss": 1.0}]
    assert TrainingRules(collapse=Collapse(window=3, min_entropy=0.1, max_kl=1.0)).collapsed(sound) is None
    # A missing measurement is no sign of collapse: KL without a reference model, a metric that a step lacks.
    assert TrainingRules(collapse=Collapse(window=3, max_kl=1.0)).collapsed(trained()) is None
    assert RULES.collapsed([{"step": step, "loss": 0.0, "frac_reward_zero_std": None} for step in range(9)]) is None


def test_the_last_step_is_always_validated_where_any_is() -> None:
    assert validated_steps(10, 10, 25) == validated_steps(10, 5, 25) == [10, 20, 25]
    assert not any(TrainingRules().validates(step, 25) for step in range(30))


def test_a_validation_waits_for_the_next_save() -> None:
    assert validated_steps(15, 10, 60) == [20, 30, 50, 60]
    assert validated_steps(5, 10, 35) == [10, 20, 30, 35], "never more often than what can be gone back to"
    assert validated_steps(100, 10, 35) == [35]


def validated_steps(validate_steps: int, save_steps: int, last: int) -> list[int]:
    rules = TrainingRules(validate_steps=validate_steps, save_steps=save_steps)
    return [step for step in range(1, last + 1) if rules.validates(step, last)]


def test_the_rules_reach_a_trainer_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    overrides = {"grpo.validate_steps": 20, "grpo.patience": 3, "grpo.collapse": {"min_entropy": 0.05}}
    grpo = grpo_of(load_profile("rehearsal", overrides))
    rules = TrainingRules.of(grpo, tmp_path)
    monkeypatch.setenv(RULES_VARIABLE, rules.model_dump_json())
    assert TrainingRules.given() == rules
    assert json.loads(rules.model_dump_json())["metric"] == "eval_answer_loss"
    monkeypatch.delenv(RULES_VARIABLE)
    assert TrainingRules.given() == TrainingRules()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"validate_steps": 0}, "greater than or equal to 1"),
        ({"patience": 2}, "give validate_steps, or remove patience"),
        ({"collapse": {"max_kl": 1.0}}, "set beta, or remove it"),
        ({"collapse": {"max_truncated": 1.5}}, "less than 1"),
        ({"samples": 1000}, "less than or equal to 64"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(keys: dict[str, Any], said: str) -> None:
    grpo = grpo_of(load_profile("rehearsal")).model_dump() | {"save_steps": 10, "validate_steps": None} | keys
    with pytest.raises(ValueError, match=said):
        Grpo.model_validate(grpo)
