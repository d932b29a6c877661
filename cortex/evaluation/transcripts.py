"""The text of every model's answer to every test question: the file from which people read what the models wrote."""

import io
from collections.abc import Mapping, Sequence

import polars as pl

from cortex.errors import DataError

TRANSCRIPTS = "transcripts.parquet"
"""The file's name, beside `questions.parquet`. A release does not hold it."""

_GRADES: dict[str, pl.DataType] = {
    "model": pl.String(),
    "id": pl.String(),
    "loss": pl.Float64(),
    "valid": pl.Boolean(),
    "held_back": pl.Boolean(),
}
"""Columns that the table of grades has, too."""

_TEXTS: dict[str, pl.DataType] = {"prompt": pl.String(), "truth": pl.String(), "answer": pl.String()}


def transcripts_table(
    questions: pl.DataFrame, asked: Sequence[tuple[str, str]], answers: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """A row for each model and question: its grade, the prompt, the truth in words, and the answer.

    `questions` is `questions_table` of the same N questions and M models (N x M rows); `asked` has the prompt and the
    truth of each question (N), `answers` the texts of each model (N each), both in the order of the grades.
    """
    models = questions["model"].unique(maintain_order=True)
    return questions.select(*_GRADES).with_columns(
        pl.Series("prompt", [prompt for prompt, _ in asked] * len(models), pl.String),
        pl.Series("truth", [truth for _, truth in asked] * len(models), pl.String),
        pl.Series("answer", [text for model in models for text in answers[model]], pl.String),
    )


def read_transcripts(data: bytes, where: str) -> pl.DataFrame:
    """The table, from the bytes of the file; `where` names it in errors.

    Raises:
        DataError: it is no such file.
    """
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{where} is no table of transcripts: run the evaluate stage again") from error
    wanted = _GRADES | _TEXTS
    if any(table.schema.get(name) != kind for name, kind in wanted.items()):
        raise DataError(f"{where} is no table of transcripts of this version: run the evaluate stage again")
    return table.select(*wanted)
