"""Answers judged alone, for KTO: of samples, of the data's pairs, and kept together when some are held out."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.domain import Domain
from cortex.domains.question import Example
from cortex.stages.judged_answers import judged_answers, judged_row
from cortex.trainers.balance import balancing_weights
from cortex.trainers.held_out import hold_out
from tests.stages.test_preference_pairs import EXAMPLES, GIVEN, domain, reply

__all__ = ["domain"]

RIGHT, WRONG = (reply("two"), reply("none")), reply("seven")


def judged(domain: Domain, answers: list[list[str]]) -> list[tuple[str, str, bool]]:
    def sample(examples: list[Example]) -> list[list[str]]:
        assert [example.id for example in examples] == ["a a b b", "b b b b"]
        return answers

    return [(question.id, answer, good) for question, answer, good in judged_answers(domain, EXAMPLES, sample)]


def test_every_sample_is_good_or_bad_and_pairs_of_the_data_are_both(domain: Domain) -> None:
    assert judged(domain, [[RIGHT[0], WRONG], [WRONG, WRONG]]) == [
        ("a a b b", RIGHT[0], True),
        ("a a b b", WRONG, False),
        ("talk", GIVEN[0], True),
        ("talk", GIVEN[1], False),
        # No pair could be made of these.
        ("b b b b", WRONG, False),
        ("b b b b", WRONG, False),
    ]


def test_samples_that_are_all_paid_alike_teach_nothing(domain: Domain) -> None:
    assert [name for name, *_ in judged(domain, [[RIGHT[0], RIGHT[0]], [RIGHT[1], RIGHT[1]]])] == ["talk", "talk"]


def test_a_row_has_the_columns_of_trl() -> None:
    assert judged_row(EXAMPLES[0], "two", True) == {
        "prompt": [{"role": "user", "content": "a a b b"}],
        "completion": [{"role": "assistant", "content": "two"}],
        "label": True,
    }


def test_answers_to_one_question_are_held_out_together(tmp_path: Path) -> None:
    rows = [{"prompt": number // 3, "label": number % 2 == 0} for number in range(30)]
    file = tmp_path / "judged.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    train, held = (
        [json.loads(line)["prompt"] for line in path.read_text(encoding="utf-8").splitlines()]
        for path in hold_out(file, 2, tmp_path, together="prompt")
    )
    assert held == [9, 9, 9] and set(train) == set(range(9))


@pytest.mark.parametrize(
    ("labels", "arguments", "weights"),
    [
        ([True, False, False], {}, {"desirable_weight": 2.0}),
        ([True, True, True, False], {}, {"undesirable_weight": 3.0}),
        ([True, False], {}, {"undesirable_weight": 1.0}),
        ([True, False, False], {"undesirable_weight": 0.7}, {}),
        ([False, False], {}, {}),
    ],
)
def test_the_rarer_kind_counts_as_much_in_all(
    labels: list[bool], arguments: dict[str, Any], weights: dict[str, float]
) -> None:
    assert balancing_weights(labels, arguments) == weights
