import json
from pathlib import Path

import pytest

from cortex.domains.domain import Message, Question
from cortex.domains.markets import Markets
from cortex.errors import DataError
from cortex.teaching.completion import Completion
from cortex.teaching.labels import ACCEPTED, SUMMARY, accepted_conversations, write_labels

MARKETS = Markets()
PROMPT = "NEAR 1d flow:-2"
GOOD = '<think>flow:-2 up</think><answer>{"p_up":0.65,"direction":"up","return_pct":0.5,"interval_pct":[-3,4]}</answer>'


def questions(*names: str) -> list[Question]:
    return [Question(name, (Message("user", PROMPT),)) for name in names]


def test_each_grade_has_its_file_and_the_summary_counts_them(tmp_path: Path) -> None:
    answers = {"a": GOOD, "b": GOOD.replace("flow:-2 up", "up"), "c": GOOD.replace("-2 up", "+2 up"), "d": "no"}
    completions = {example: Completion("answered", text) for example, text in answers.items()}
    completions["e"] = Completion("refused", "", "HTTP 400: filtered")
    completions["f"] = Completion("truncated", "<think>flow:-2", "finish_reason length")
    completions["g"] = Completion("odd", "", "no completion, but nothing")
    completions["h"] = Completion("truncated", GOOD, "finish_reason length")  # cut off after its last word
    write_labels(MARKETS, questions(*completions), completions, tmp_path)
    rows = {
        grade: [json.loads(line) for line in (tmp_path / f"{grade}.jsonl").read_text().splitlines()]
        for grade in ("accepted", "flagged", "rejected")
    }
    assert {grade: [row["example_id"] for row in found] for grade, found in rows.items()} == {
        "accepted": ["a", "h"],
        "flagged": ["b"],
        "rejected": ["c", "d", "e", "f", "g"],
    }
    assert [row["reasons"] for row in rows["rejected"]] == [
        ["ungrounded: flow:+2"],
        ["protocol: no </think>"],
        ["refused: HTTP 400: filtered"],
        ["truncated: finish_reason length"],
        ["unanswered: no completion, but nothing"],
    ]
    assert json.loads((tmp_path / SUMMARY).read_text()) == {
        "asked": 8,
        "accepted": 2,
        "flagged": 1,
        "rejected": 5,
        "reasons": {
            "cites nothing": 1,
            "protocol": 1,
            "refused": 1,
            "truncated": 1,
            "unanswered": 1,
            "ungrounded": 1,
        },
    }
    conversation = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": GOOD}]
    assert accepted_conversations(tmp_path) == [conversation, conversation]


def test_a_teacher_with_no_fit_answer_is_an_error_that_names_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the teacher's 2 answers.*'protocol': 2.*rejected\.jsonl"):
        write_labels(
            MARKETS,
            questions("a", "b"),
            {"a": Completion("answered", "no"), "b": Completion("answered", "up")},
            tmp_path,
        )
    assert (tmp_path / ACCEPTED).read_text() == ""
