from typing import Any

import pytest

from cortex.domains.markets import Markets
from cortex.domains.markets.protocol import Answer, render_answer
from cortex.domains.question import Example, Message
from cortex.stages.best_of import choose_best, expand
from cortex.teaching.completion import Completion
from cortex.teaching.labels import grade

MARKETS = Markets()
EXAMPLES = {
    name: Example(name, (Message("user", "NEAR 1d flow:-2 range:2.8"),), truth)
    for name, truth in (("up", 0.03), ("down", -0.03))
}


def forecast(p_up: float, reasoning: str = "flow:-2 up") -> Completion:
    up = p_up >= 0.5
    return Completion("answered", render_answer(Answer(reasoning, p_up, "up" if up else "down", 0.0, -5.0, 5.0)))


def choose(**answers: list[Completion]) -> tuple[dict[str, Completion], list[dict[str, Any]]]:
    samples = len(next(iter(answers.values())))
    completions = {
        f"{name}#{place}" if place else name: each
        for name, given in answers.items()
        for place, each in enumerate(given)
    }
    examples = {name: EXAMPLES[name] for name in answers}
    return choose_best(MARKETS, examples, completions, samples, lambda *pair: grade(MARKETS, *pair))


def test_the_answer_of_the_highest_reward_is_chosen_for_each_example() -> None:
    timid, right, wrong = forecast(0.55), forecast(0.85), forecast(0.15)
    chosen, rows = choose(up=[timid, right, wrong], down=[timid, right, wrong])
    assert chosen == {"up": right, "down": wrong}
    rewards = [[answer["reward"] for answer in row["answers"]] for row in rows]
    assert all(each == sorted(each, reverse=True) and len(set(each)) == 3 for each in rewards)


def test_an_accepted_answer_goes_before_a_flagged_one_that_earned_more() -> None:
    accepted, flagged, broken = forecast(0.55), forecast(0.99), Completion("answered", "It will rise.")
    chosen, [row] = choose(up=[broken, flagged, accepted])
    assert chosen == {"up": accepted}
    assert [answer["grade"] for answer in row["answers"]] == ["accepted", "flagged", "rejected"]


def test_of_equal_answers_the_first_is_taken_and_prompts_without_any_keep_a_reason() -> None:
    first, second = forecast(0.7), forecast(0.7)
    assert choose(up=[first, second])[0]["up"] is first
    refused = Completion("refused", reason="filtered")
    assert choose(up=[refused, refused])[0]["up"] is refused
    assert choose(up=[refused, first])[0]["up"] is first


@pytest.mark.parametrize("samples", [1, 3])
def test_the_first_sample_is_asked_as_where_there_is_one(samples: int) -> None:
    prompts = {name: example.messages for name, example in EXAMPLES.items()}
    asked, seeds = expand(prompts, samples)
    assert len(asked) == 2 * samples and prompts.items() <= asked.items()
    assert len(seeds) == 2 * (samples - 1) and not seeds.keys() & prompts.keys()
