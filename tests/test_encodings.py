"""Files are UTF-8 in every locale: all code that reads or writes text names that encoding.

Ruff's PLW1514 does so only where it knows a value's type.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT

SOURCES = [path for room in ("cortex", "infra", "scripts") for path in sorted((CHECKOUT / room).rglob("*.py"))]
MODE = {"read_text": None, "write_text": None, "open": 0, "fdopen": 1, "NamedTemporaryFile": 0}
"""Calls that open text, and the position of their mode; `open` of a path has it first, the function second."""
PROGRAMS = {"run", "Popen", "call", "check_call", "check_output"}
"""Calls that read a program's output as text, if asked to."""
OTHERS = {"os", "Store", "gzip", "tarfile", "_connection", "tracker", "tunnel", "direct", "_OPENER"}
"""Objects whose `open` opens no text."""


def text_without_encoding(source: str) -> Iterator[int]:
    """Lines of calls whose encoding the locale would decide."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        words = {word.arg: word.value for word in call.keywords}
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if "encoding" in words:
            continue
        if name in PROGRAMS and {"text", "universal_newlines"} & words.keys():
            yield call.lineno
        elif name in MODE and not (name == "open" and getattr(owner, "id", getattr(owner, "attr", "")) in OTHERS):
            place = 1 if name == "open" and owner is None else MODE[name]
            at_place = call.args[place] if place is not None and len(call.args) > place else None
            mode = ast.unparse(words.get("mode") or at_place or ast.Constant("w+b" if name[0] == "N" else "r"))
            if "b" not in mode:
                yield call.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_the_locale_decides_no_encoding(path: Path) -> None:
    assert not list(text_without_encoding(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("path.read_text(errors='replace')", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.open('a')", True),
        ("path.open('rb')", False),
        ("open(path)", True),
        ("open(path, 'wb')", False),
        ("os.fdopen(number, 'w')", True),
        ("Store.open(url)", False),
        ("self._connection.open()", False),
        ("self.folder.open()", True),
        ("subprocess.run(words, text=True)", True),
        ("subprocess.run(words, text=True, encoding='utf-8')", False),
        ("subprocess.run(words)", False),
        ("NamedTemporaryFile()", False),
        ("NamedTemporaryFile('w')", True),
    ],
)
def test_what_is_found(source: str, found: bool) -> None:
    assert bool(list(text_without_encoding(source))) is found
