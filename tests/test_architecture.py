"""ARCHITECTURE.md is a map of what is there."""

import re
from pathlib import Path

import pytest

from cortex import errors
from cortex.settings import CHECKOUT

TEXT = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
TREE = TEXT.partition("Outside of the package")[0]
PATHS = sorted(set(re.findall(r"(?:cortex|tests|jobs|images|docs|scripts|infra|examples)/[\w./-]*\w/?", TEXT)))


def rooms() -> list[Path]:
    """The package's folders with code, but for those that a room keeps to itself."""
    found = sorted((CHECKOUT / "cortex").rglob("__init__.py"))
    return [path.parent for path in found if path.parent.name != "cortex"]


@pytest.mark.parametrize("path", PATHS)
def test_what_it_names_is_there(path: str) -> None:
    assert (CHECKOUT / path).exists()


@pytest.mark.parametrize("room", rooms(), ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_every_room_has_its_line(room: Path) -> None:
    path = room.relative_to(CHECKOUT).as_posix()
    indent = "  " * (path.count("/") - 1)
    assert re.search(rf"^{indent}{room.name if indent else path}/ ", TREE, re.MULTILINE), f"{path} has no line"


def test_it_has_every_exit_code() -> None:
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    named = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert named == codes | {0}
