"""The table of the answers' texts."""

import io

import numpy as np
import polars as pl
import pytest

from cortex.errors import DataError
from cortex.evaluation.questions import Judged, questions_table
from cortex.evaluation.transcripts import read_transcripts, transcripts_table
from tests.evaluation.simulation import make_grades

ANSWERS = {"base": ["I say up.", ""], "grpo": ["\x1b[31m<b>", "down"]}


def make_table() -> pl.DataFrame:
    examples = pl.DataFrame(
        {"id": ["q1", "q2"], "cluster": ["c", "d"], "at": [None, None]},
        schema={"id": pl.String(), "cluster": pl.String(), "at": pl.Datetime("us", "UTC")},
    )
    grades = {
        "base": make_grades(np.array([0.4, 0.5]), np.array([True, False])),
        "grpo": make_grades(np.array([0.9, 0.5]), np.array([True, False]), valid=np.array([True, False])),
    }
    tokens = np.ones((2, 2), dtype=np.int64)
    judged = {name: Judged(each, ~each.valid, tokens) for name, each in grades.items()}
    asked = [("Will it rise?", "it rose"), ("And now?", "it fell")]
    return transcripts_table(questions_table(examples, judged), asked, ANSWERS)


def written(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def test_each_answer_stands_beside_its_question_its_truth_and_its_grade() -> None:
    table = read_transcripts(written(make_table()), "here")
    assert table.rows() == [
        ("base", "q1", pytest.approx(0.36), True, False, "Will it rise?", "it rose", "I say up."),
        ("base", "q2", 0.25, True, False, "And now?", "it fell", ""),
        ("grpo", "q1", pytest.approx(0.01), True, False, "Will it rise?", "it rose", "\x1b[31m<b>"),
        ("grpo", "q2", 0.25, False, True, "And now?", "it fell", "down"),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"no parquet", "is no table of transcripts:"), (written(make_table().drop("truth")), "of this version")],
)
def test_another_file_is_refused_by_its_name(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=f"bucket/transcripts.parquet .*{words}"):
        read_transcripts(data, "bucket/transcripts.parquet")
