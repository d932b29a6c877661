import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.benchmarks.answers_file import Benchmarked, SuiteAnswers, read_answers, write_answers
from cortex.errors import DataError
from tests.benchmarks.scored import answers


def test_answers_come_back_as_they_were(tmp_path: Path) -> None:
    timed = tuple(
        replace(one, at=dt.datetime(2024, 1, 1 + place, tzinfo=dt.UTC), reply="<b>\n\x1b[2J\u2028" * place)
        for place, one in enumerate(answers([0, 0.25, 1]).answers)
    )
    kept = Benchmarked("m@host", {"markets": SuiteAnswers(timed, 3), "gsm8k": answers([1, 0])})
    write_answers(kept, tmp_path / "answers.jsonl")
    assert read_answers(tmp_path / "answers.jsonl") == kept


@pytest.mark.parametrize("text", ["", "[]\n", '{"format": "another"}\n', "no json\n"])
def test_another_file_is_no_answers(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="name a file that `cortex benchmark --to` wrote"):
        read_answers(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_answers(tmp_path / "nothing.jsonl")


@pytest.mark.parametrize("damage", ["{", '{"suite": "x"}', '{"suite": "other", "id": "q"}', '"score": 1.5', "[[1]]"])
def test_a_damaged_line_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.jsonl"
    write_answers(Benchmarked("m", {"x": answers([0, 1])}), path)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('"score": 1.0', damage) if damage.startswith('"score') else damage
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"x\.jsonl, line 3 is no answer: make the file anew"):
        read_answers(path)
