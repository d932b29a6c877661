import json
from pathlib import Path

import pytest

from cortex.tracking.samples import TEXT_LENGTH, SampleWriter
from cortex.trainers.held_out import hold_out


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_few_answers_of_a_step_are_kept_evenly(tmp_path: Path) -> None:
    answers = [{"completion": f"\u2028{number}", "reward": number / 10} for number in range(100)]
    SampleWriter(tmp_path / "samples", 4).write(7, "train", answers)
    [path] = (tmp_path / "samples").iterdir()
    assert path.name == "train-00000007.jsonl"
    assert [row["completion"] for row in rows(path)] == ["\u20280", "\u202825", "\u202850", "\u202875"]
    assert rows(path)[0] == {"step": 7, "split": "train", "completion": "\u20280", "reward": 0.0}


def test_a_step_that_is_made_again_writes_the_same_file(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path, 8)
    for _ in range(2):
        writer.write(3, "validation", [{"completion": "a"}])
    assert [path.name for path in tmp_path.iterdir()] == ["validation-00000003.jsonl"]
    assert len(rows(tmp_path / "validation-00000003.jsonl")) == 1


def test_a_long_answer_is_cut_and_says_so_and_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    SampleWriter(tmp_path, 1).write(1, "train", [{"completion": "x" * 20_000}])
    [row] = rows(tmp_path / "train-00000001.jsonl")
    assert str(row["completion"]).endswith("x... (20,000 letters)") and len(str(row["completion"])) < TEXT_LENGTH + 30
    SampleWriter(tmp_path / "none", 0).write(1, "train", [{"completion": "x"}])
    SampleWriter(tmp_path / "none", 3).write(1, "train", [])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("lines", "asked", "held"), [(1000, 50, 50), (1000, 500, 100), (30, 256, 3), (5, 8, 1)])
def test_the_newest_are_held_out_a_tenth_at_most(lines: int, asked: int, held: int, tmp_path: Path) -> None:
    dataset = tmp_path / "all.jsonl"
    dataset.write_text("".join(f'{{"n": {number}}}\n' for number in range(lines)))
    train, validation = hold_out(dataset, asked, tmp_path)
    assert [row["n"] for row in rows(validation)] == list(range(lines - held, lines))
    assert train.read_text() + validation.read_text() == dataset.read_text()
