"""Every docstring begins with the thing or the verb that it describes, so that a reader need not read it twice."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT

FOLDERS = ("cortex", "scripts", "infra", "examples", "tests")
RIDDLE_STARTS = {"What", "Whether", "Who", "How", "When", "Where", "Which", "Those", "Whose"}
"""First words that put off the thing which a docstring describes."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring: a module's, class's or function's, and the one below a field or a constant."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text


def riddles(path: Path) -> list[str]:
    """Docstrings of a file that begin with one of these words, each with its place and first line."""
    return [
        f"{path.relative_to(CHECKOUT)}:{line}: {text.strip().splitlines()[0]}"
        for line, text in docstrings(path.read_text(encoding="utf-8"))
        if text.split(maxsplit=1)[:1] and text.split(maxsplit=1)[0] in RIDDLE_STARTS
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_begin_with_the_thing_or_the_verb(folder: str) -> None:
    found = [riddle for path in sorted((CHECKOUT / folder).rglob("*.py")) for riddle in riddles(path)]
    assert not found, "\n".join(["say what it is or does first, as in `Cost of a run`:", *found])
