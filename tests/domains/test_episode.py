"""Dialogues of a model with a world that counts."""

import pytest

from cortex.domains.domain import Domain
from cortex.domains.episode import MOST_TURNS, Dialogue, Episode, hold, one_reply, replies, transcript
from cortex.domains.mixture import Mixture
from cortex.domains.question import Conversation, Example, Message
from cortex.errors import ConfigError
from cortex.evaluation.graded import Graded
from cortex.profiles.profile import with_overrides
from cortex.profiles.profile_file import load_profile
from tests.conversations import ask
from tests.domains.toy_domain import toy_class


class Countdown(Episode):
    """Says how many turns are left, in two messages, until none is; never ends where it began below zero."""

    def __init__(self, left: int) -> None:
        self._left = left

    def step(self, reply: str) -> tuple[Message, ...] | None:
        self._left -= 1
        if self._left == 0:
            return None
        return Message("tool", reply.upper()), Message("user", str(self._left))


def say_length(prompts: list[Conversation]) -> list[str]:
    return [f"turn {len(prompt)}" for prompt in prompts]


def test_all_dialogues_step_together_and_each_ends_by_itself() -> None:
    asked: list[int] = []

    def model(prompts: list[Conversation]) -> list[str]:
        asked.append(len(prompts))
        return say_length(prompts)

    questions = ask("a", "b", "c")
    worlds = (Countdown(1), None, Countdown(3))
    first, second, third = hold([Dialogue(*pair) for pair in zip(questions, worlds, strict=True)], model)
    assert asked == [3, 1, 1]
    assert first == second == one_reply("turn 1")
    assert [turn.role for turn in third] == ["assistant", "tool", "user"] * 2 + ["assistant"]
    assert third[1:3] == (Message("tool", "TURN 1"), Message("user", "2"))
    assert third[-1].content == "turn 7"


def test_the_prompts_of_every_reply_are_found_again_among_the_turns() -> None:
    seen: list[Conversation] = []

    def model(prompts: list[Conversation]) -> list[str]:
        seen.extend(prompts)
        return say_length(prompts)

    [question] = ask("why?")
    [turns] = hold([Dialogue(question, Countdown(3))], model)
    assert replies(question, turns) == [(prompt, f"turn {len(prompt)}") for prompt in seen]
    assert len(seen) == 3


def test_a_world_without_an_end_is_ended() -> None:
    dialogue = Dialogue(ask("a")[0], Countdown(-1))
    hold([dialogue], say_length)
    assert len([turn for turn in dialogue.turns if turn.role == "assistant"]) == MOST_TURNS
    assert dialogue.turns[-1].role == "assistant"
    with pytest.raises(AssertionError):
        dialogue.reply("more")


def test_a_cut_leaves_the_models_turn_last() -> None:
    dialogue = Dialogue(ask("a")[0], Countdown(5))
    dialogue.reply("x")
    assert dialogue.open and dialogue.turns[-1].content == "4"
    dialogue.cut()
    assert not dialogue.open and dialogue.turns == one_reply("x")


def test_a_transcript_names_every_turn_but_a_single_reply_is_as_it_was() -> None:
    assert transcript(one_reply("yes")) == "yes"
    turns = (*one_reply("look"), Message("tool", "7"), *one_reply("7"))
    assert transcript(turns) == "look\n\n[tool]\n7\n\n[assistant]\n7"


def counting() -> Domain:
    class Counting(toy_class()):  # type: ignore[misc]
        def episode(self, example: Example) -> Episode | None:
            return Countdown(2) if example.id == "a a a b" else None

        def grade_turns(self, example: Example, turns: Conversation) -> Graded:
            return Graded(len(turns) / 10, valid=True, parts={"near": 0.0, "format": 0.0})

    return Counting.model_validate({"kind": "toy"})


def toy() -> Domain:
    return toy_class().model_validate({"kind": "toy"})


def test_several_domains_have_the_episodes_of_each_by_its_own_ids() -> None:
    mixed = Mixture.model_construct(domains=())
    assert not mixed.takes_turns() and not toy().takes_turns()
    mixed = Mixture.model_validate({"domains": [{"name": "one", "domain": counting()}, {"domain": toy()}]})
    assert mixed.takes_turns()
    question = Example("one/a a a b", ask("a a a b")[0], "three")
    assert isinstance(mixed.episode(question), Countdown)
    assert mixed.episode(Example("one/a b b b", question.messages, "one")) is None
    assert mixed.episode(Example("toy/a a a b", question.messages, "three")) is None
    assert mixed.grade_turns(question, one_reply("x") * 4).loss == 0.4


@pytest.mark.parametrize(("key", "value"), [("teacher.samples", 2), ("teacher.test_examples", 5)])
def test_what_knows_single_replies_only_is_refused(key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{key} takes questions of one reply"):
        with_overrides(load_profile("rehearsal"), {key: value, "domain": counting()})
