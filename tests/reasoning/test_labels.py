import json
from pathlib import Path

import pytest

from cortex.errors import DataError
from cortex.reasoning.labels import ACCEPTED, SUMMARY, accepted_conversations, write_labels

PROMPT = "NEAR 1d flow:-2"
GOOD = '<think>flow:-2 up</think><answer>{"p_up":0.65,"direction":"up","return_pct":0.5,"interval_pct":[-3,4]}</answer>'


def test_each_grade_has_its_file_and_the_summary_counts_them(tmp_path: Path) -> None:
    answers = {"a": GOOD, "b": GOOD.replace("flow:-2 up", "up"), "c": GOOD.replace("-2 up", "+2 up"), "d": "no"}
    write_labels(dict.fromkeys(answers, PROMPT), answers, tmp_path)
    rows = {
        grade: [json.loads(line) for line in (tmp_path / f"{grade}.jsonl").read_text().splitlines()]
        for grade in ("accepted", "flagged", "rejected")
    }
    assert {grade: [row["example_id"] for row in found] for grade, found in rows.items()} == {
        "accepted": ["a"],
        "flagged": ["b"],
        "rejected": ["c", "d"],
    }
    assert rows["rejected"][0]["reasons"] == ["ungrounded: flow:+2"]
    assert json.loads((tmp_path / SUMMARY).read_text()) == {
        "asked": 4,
        "accepted": 1,
        "flagged": 1,
        "rejected": 2,
        "reasons": {"cites nothing": 1, "protocol": 1, "ungrounded": 1},
    }
    assert accepted_conversations(tmp_path) == [
        [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": GOOD}]
    ]


def test_a_teacher_with_no_fit_answer_is_an_error_that_names_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the teacher's 2 answers.*'protocol': 2.*rejected\.jsonl"):
        write_labels({"a": PROMPT, "b": PROMPT}, {"a": "no", "b": ""}, tmp_path)
    assert (tmp_path / ACCEPTED).read_text() == ""
