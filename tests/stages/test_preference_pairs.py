from pathlib import Path
from typing import Any

import pytest

from cortex.domains.domain import Domain
from cortex.domains.feedback_replies import FeedbackReply, write_replies
from cortex.domains.question import Example, Message
from cortex.domains.scaffold import scaffold
from cortex.stages.preference_pairs import best_and_worst, pairs, posted_pairs


def reply(answer: str) -> str:
    return f"<think>counted</think><answer>{answer}</answer>"


EXAMPLES = [
    Example("a a b b", (Message("user", "a a b b"),), "two"),
    Example("talk", (Message("user", "How are you?"),), None),
    Example("b b b b", (Message("user", "b b b b"),), "none"),
]
GIVEN = ("Well. And you?", "Whatever.")


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    """The scaffold's domain, of which one example has a pair and no truth."""
    [path, *_] = scaffold("tally", tmp_path)
    names: dict[str, Any] = {"__name__": "tally"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)

    class Mixed(names["DOMAIN"]):
        def preferred(self, example: Example) -> tuple[str, str] | None:
            return GIVEN if example.truth is None else None

    return Mixed.model_validate({})


def test_pairs_of_the_data_are_taken_and_only_the_others_are_sampled(domain: Domain) -> None:
    asked: list[str] = []

    def sample(examples: list[Example]) -> list[list[str]]:
        asked.extend(example.id for example in examples)
        return [[reply("five"), reply("two"), "?"], [reply("none"), reply("none")]]

    found = [(example.id, better, worse) for example, better, worse in pairs(domain, EXAMPLES, sample)]
    assert asked == ["a a b b", "b b b b"]
    assert found == [("a a b b", reply("two"), "?"), ("talk", *GIVEN)]


def test_nothing_is_sampled_where_the_data_give_all_pairs(domain: Domain) -> None:
    def sample(examples: list[Example]) -> list[list[str]]:
        raise AssertionError(examples)

    assert [better for _, better, _ in pairs(domain, EXAMPLES[1:2], sample)] == [GIVEN[0]]


def test_better_replies_that_callers_posted_are_pairs_if_they_are_in_the_form(domain: Domain, tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "a a b b"}]
    given = [
        FeedbackReply("one", asked, reply("two"), reply("five")),
        FeedbackReply("two", asked, "It is two.", reply("five")),
        FeedbackReply("three", asked, reply("two")),
    ]
    write_replies(given, tmp_path)
    assert [(one.id, better, worse) for one, better, worse in posted_pairs(domain, tmp_path)] == [
        ("one", reply("two"), reply("five"))
    ]


def test_answers_that_are_paid_alike_make_no_pair(domain: Domain) -> None:
    assert best_and_worst(domain, EXAMPLES[0], [reply("one"), reply("three")]) is None
    assert best_and_worst(domain, EXAMPLES[0], [reply("one"), reply("two"), reply("none")]) == (
        reply("two"),
        reply("none"),
    )


def test_the_last_of_several_turns_is_graded_unless_a_domain_looks_at_all(domain: Domain) -> None:
    turns = (Message("assistant", reply("one")), Message("tool", "2"), Message("assistant", reply("two")))
    assert domain.grade_turns(EXAMPLES[0], turns) == domain.grade(EXAMPLES[0], reply("two"))
