"""The grade of every model's answer to every test question: the file from which two runs are compared question by
question."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.errors import DataError
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Bools, Floats, Grades

QUESTIONS = "questions.parquet"
"""The file's name, beside `evaluation.json`. A release does not hold it."""

_NUMBER = "number "
"""Prefix of the columns with the numbers of grades."""

_SCHEMA: dict[str, pl.DataType] = {
    "model": pl.String(),
    "id": pl.String(),
    "cluster": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "loss": pl.Float64(),
    "valid": pl.Boolean(),
    "held_back": pl.Boolean(),
    "prompt_tokens": pl.Int64(),
    "answer_tokens": pl.Int64(),
}


@dataclass(frozen=True, eq=False)
class Judged:
    """One model's answers to N questions."""

    grades: Grades
    held_back: Bools
    """Answers that a gateway would hold back: they cannot be read, or are not fit to be imitated (N)."""
    tokens: NDArray[np.int64]
    """Tokens of the prompt and of the answer (N x 2)."""


@dataclass(frozen=True, eq=False)
class Questions:
    """N test questions, and one model's answers to them, in the order of the questions' ids."""

    examples: pl.DataFrame
    """`id`, `cluster` and `at` of each question (N rows)."""
    judged: Judged

    def clusters(self, span: int) -> Clusters:
        """The questions' clusters; `span` as in `Clusters`."""
        return Clusters.read(self.examples, span)


def questions_table(examples: pl.DataFrame, models: Mapping[str, Judged]) -> pl.DataFrame:
    """All models' answers as one table, a row for each model and question.

    `examples` has `id`, `cluster` and `at` of each question, in the order of the grades.
    """
    frames = [
        examples.select(pl.lit(name).alias("model"), "id", "cluster", "at").with_columns(
            pl.Series("loss", judged.grades.loss),
            pl.Series("valid", judged.grades.valid),
            pl.Series("held_back", judged.held_back),
            pl.Series("prompt_tokens", judged.tokens[:, 0]),
            pl.Series("answer_tokens", judged.tokens[:, 1]),
            *(pl.Series(f"{_NUMBER}{key}", values) for key, values in judged.grades.numbers.items()),
        )
        for name, judged in models.items()
    ]
    return pl.concat(frames)


def read_questions(data: bytes, model: str, where: str) -> Questions:
    """One model's answers, from the bytes of the file; `where` names it in errors.

    Raises:
        DataError: it is no such file, or does not hold this model.
    """
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{where} is no table of answers: run the evaluate stage again") from error
    if any(table.schema.get(name) != kind for name, kind in _SCHEMA.items()):
        raise DataError(f"{where} is no table of answers of this version: run the evaluate stage again")
    own = table.filter(pl.col("model") == model).sort("id")
    if own.is_empty():
        raise DataError(f"{where} holds no answers of {model!r}: it has {', '.join(table['model'].unique().sort())}")
    numbers: dict[str, Floats] = {
        name.removeprefix(_NUMBER): own[name].to_numpy() for name in own.columns if name.startswith(_NUMBER)
    }
    grades = Grades(own["loss"].to_numpy(), own["valid"].to_numpy(), numbers)
    tokens = own.select("prompt_tokens", "answer_tokens").to_numpy()
    return Questions(own.select("id", "cluster", "at"), Judged(grades, own["held_back"].to_numpy(), tokens))


def select(grades: Grades, chosen: Bools) -> Grades:
    """The grades of some of the questions."""
    numbers = {name: values[chosen] for name, values in grades.numbers.items()}
    return Grades(grades.loss[chosen], grades.valid[chosen], numbers)


def prices_of(judged: Sequence[Judged], dollars: Sequence[float]) -> list[Floats]:
    """Dollars of each answer of each model (N each), by prices of a million tokens, asked and answered."""
    return [one.tokens.sum(axis=1) * price / 1_000_000 for one, price in zip(judged, dollars, strict=True)]
