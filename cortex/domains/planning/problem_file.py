"""Problems from a file of JSON lines: hand-made ones, in place of drawn ones."""

import json
from pathlib import Path
from typing import NamedTuple, get_args

from pydantic import ValidationError

from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.statements import read_problem
from cortex.domains.question import Split
from cortex.errors import DataError

MOST_BYTES = 64 * 2**20


class Listed(NamedTuple):
    """One line of a file."""

    line: int
    problem: PlanProblem
    split: Split | None
    """The split that the line names; None for one by a hash of the problem."""


def read_problems(path: Path) -> list[Listed]:
    """The problems of a file, each as a line of JSON with its `kind` and, if it is to be in a certain one, its `split`.

    Raises:
        DataError: the file or a line cannot be read, or a problem contradicts itself; the message has its line.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{path} has {size:,} bytes, more than {MOST_BYTES:,}: take fewer problems")
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"domain.problems: {path} cannot be read: {error}: give a file of JSON lines") from error
    listed = [_read_line(f"{path}:{at}", at, line) for at, line in enumerate(lines, 1) if line.strip()]
    if not listed:
        raise DataError(f"domain.problems: {path} has no problem: write one JSON object a line")
    return listed


def _read_line(where: str, at: int, line: str) -> Listed:
    try:
        values = json.loads(line)
        if not isinstance(values, dict):
            raise TypeError(f"{line[:40]!r} is no object")
        split = values.pop("split", None)
        if split is not None and split not in get_args(Split):
            raise ValueError(f"split is {split!r}: name one of {', '.join(get_args(Split))}, or none")
        return Listed(at, read_problem(json.dumps(values)), split)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))
        reason = first["msg"].removeprefix("Value error, ")
        raise DataError(f"{where}: {f'{place}: ' if place else ''}{reason}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{where}: no problem: {error}: write one JSON object with a `kind`") from error
