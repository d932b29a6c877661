"""A reward that rises while the truth falls: told by chance no oftener than promised, and seen where it happens."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cortex.checkpoints.misleading import Answers, misled, validated_answers
from cortex.checkpoints.rules import TrainingRules
from cortex.profiles.trainer_sections import Collapse
from cortex.runs.learned_reward import HELD_OUT, VALIDATIONS, HeldOutPairs, Validation, Validations, reward_sentences

PROMPTS = 200
RULES = TrainingRules(validate_steps=10, collapse=Collapse())


def training(rng: random.Random, *, truths: Sequence[float], rewards: Sequence[float]) -> list[dict[str, Any]]:
    """A history whose validations answer so many of their prompts right, and earn so much, on average.

    A prompt's own ease and worth stay the same, so that answers to it are alike from one validation to the next.
    """
    ease = [rng.gauss(0.0, 0.2) for _ in range(PROMPTS)]
    return [
        Answers(
            10 * number,
            [reward + each + rng.gauss(0.0, 0.5) for each in ease],
            [float(rng.random() > truth + each) for each in ease],
        ).to_entry()
        for number, (truth, reward) in enumerate(zip(truths, rewards, strict=True))
    ]


def test_a_reward_that_rises_while_the_truth_falls_is_named_with_its_figures() -> None:
    history = training(random.Random(1), truths=(0.4, 0.6, 0.45, 0.2), rewards=(0.0, 0.5, 1.0, 2.0))
    assert RULES.misled(history[:3]) is None
    found = RULES.misled(history)
    assert found is not None
    assert (found.since, found.step) == (10, 30), "the best truth before is compared with"
    assert found.reward_before < 0.7 and found.reward_after > 1.8
    assert found.truth_before > 0.4 and found.truth_after < 0.3
    reason = RULES.collapsed(history)
    assert reason is not None and reason == f"{found.words} (collapse.misled 0.05)"
    assert "the reward rose from 0." in reason and "while the truth fell from 0." in reason


@pytest.mark.parametrize(
    ("truths", "rewards"),
    [
        pytest.param((0.4, 0.5, 0.6, 0.7), (0.0, 0.5, 1.0, 2.0), id="both rise"),
        pytest.param((0.6, 0.5, 0.3, 0.2), (2.0, 1.0, 0.5, 0.0), id="both fall"),
    ],
)
def test_a_reward_that_moves_with_the_truth_does_not_mislead(truths: list[float], rewards: list[float]) -> None:
    for seed in range(20):
        history = training(random.Random(seed), truths=truths, rewards=rewards)
        assert not any(RULES.misled(history[:count]) for count in range(1, 5))


def test_chance_alone_stops_no_more_trainings_than_promised() -> None:
    alarms, trainings = 0, 80
    for seed in range(trainings):
        # The reward always rises, so that everything hangs on the truth, which stays as it is.
        history = training(random.Random(seed), truths=[0.4] * 5, rewards=range(5))
        alarms += any(misled(history[:count], 0.05) for count in range(2, 6))
    assert alarms <= 0.05 * trainings + 3 * (0.05 * 0.95 * trainings) ** 0.5


def test_few_prompts_prove_nothing_and_a_rule_can_be_left_out() -> None:
    history = training(random.Random(1), truths=(0.9, 0.0), rewards=(0.0, 5.0))
    few = [Answers(each.step, each.rewards[:20], each.losses[:20]).to_entry() for each in validated_answers(history)]
    assert RULES.misled(few) is None
    assert RULES.misled(history)
    assert TrainingRules(collapse=Collapse(misled=None)).misled(history) is None
    assert TrainingRules(collapse=None).misled(history) is None


def test_a_validation_that_was_made_again_counts_once() -> None:
    history = training(random.Random(1), truths=(0.5, 0.4), rewards=(0.0, 1.0))
    assert [each.step for each in validated_answers([history[0], *history, {"step": 3, "loss": 1.0}])] == [0, 10]


def test_a_verdict_says_how_the_reward_was_learned_and_where_it_misled(tmp_path: Path) -> None:
    assert reward_sentences(None, None) == []
    assert reward_sentences(None, tmp_path) == []
    pairs = HeldOutPairs(pairs=100, right=86, low=0.78, high=0.915)
    (tmp_path / HELD_OUT).write_text(pairs.model_dump_json(), encoding="utf-8")
    history = training(random.Random(1), truths=(0.5, 0.1), rewards=(0.0, 2.0))
    each = [Validation(step=one.step, reward=one.reward, truth=one.truth) for one in validated_answers(history)]
    made = Validations(steps=11, chosen=8, validations=each, misled=RULES.misled(history))
    (tmp_path / VALIDATIONS).write_text(made.model_dump_json(), encoding="utf-8")
    learned, fell = reward_sentences(tmp_path, tmp_path)
    assert learned == (
        "Its reward was learned: the reward model orders 86.0% of 100 held-out pairs right (95% interval 78.0% to "
        "91.5%)."
    )
    assert fell.startswith("In GRPO, from step 0 to step 10 the reward rose from ")
    assert fell.endswith(": stopped at step 11, released the weights of step 8.")
