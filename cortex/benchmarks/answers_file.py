"""A contender's scored answers as a file of JSON lines, to compare with another's, now or later."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from cortex.errors import DataError
from cortex.limits import QUESTIONS_BYTES, read_file

_FORMAT = "cortex benchmark 1"


@dataclass(frozen=True)
class ScoredAnswer:
    """One question, a model's reply, and its score."""

    id: str
    cluster: str
    """The group of questions that are right or wrong together; the id where a question stands alone."""
    at: datetime | None
    """The question's own time, where order in time means something."""
    score: float
    """0 to 1, better when higher."""
    prompt: str
    reply: str


@dataclass(frozen=True)
class SuiteAnswers:
    """Answers to one suite's questions, in the order of their ids."""

    answers: tuple[ScoredAnswer, ...]
    span: int = 1
    """Consecutive clusters that share an outcome, as in `Clusters`."""

    def frame(self) -> pl.DataFrame:
        """The columns `cluster` and `at` of the questions, for `Clusters.read`."""
        return pl.DataFrame(
            {"cluster": [one.cluster for one in self.answers], "at": [one.at for one in self.answers]},
            schema={"cluster": pl.String(), "at": pl.Datetime("us", "UTC")},
        )


@dataclass(frozen=True)
class Benchmarked:
    """A contender with its answers by the suite's name."""

    label: str
    suites: Mapping[str, SuiteAnswers]


def write_answers(benchmarked: Benchmarked, path: Path) -> None:
    """Write a contender's answers, after a first line about them."""
    head = {
        "format": _FORMAT,
        "model": benchmarked.label,
        "spans": {name: suite.span for name, suite in benchmarked.suites.items()},
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head) + "\n")
        for name, suite in benchmarked.suites.items():
            for one in suite.answers:
                row = {"suite": name, **asdict(one), "at": one.at.isoformat() if one.at else None}
                file.write(json.dumps(row) + "\n")


def read_answers(path: Path) -> Benchmarked:
    """A contender's answers, from a file that `write_answers` wrote.

    Raises:
        DataError: it is no such file, or a line of it is damaged.
    """
    try:
        lines = read_file(path, QUESTIONS_BYTES).decode("utf-8").splitlines()
        head: Any = json.loads(lines[0]) if lines else None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): name a file that `cortex benchmark --to` wrote") from error
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise DataError(f"{path} holds no answers: name a file that `cortex benchmark --to` wrote")
    found: dict[str, list[ScoredAnswer]] = {name: [] for name in head["spans"]}
    for number, line in enumerate(lines[1:], 2):
        try:
            row: dict[str, Any] = json.loads(line)
            suite, at = row.pop("suite"), row.pop("at")
            one = ScoredAnswer(**row, at=datetime.fromisoformat(at) if at else None)
            if not 0 <= one.score <= 1:
                raise ValueError(one.score)
            found[suite].append(one)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DataError(f"{path}, line {number} is no answer: make the file anew") from None
    return Benchmarked(
        str(head["model"]), {name: SuiteAnswers(tuple(one), int(head["spans"][name])) for name, one in found.items()}
    )
