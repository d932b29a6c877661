"""reasoning-gym can be imported wherever examples are made or judged: it does not name all that it imports."""

import ast
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from cortex.domains.gym.refused_tasks import NEEDS
from tests.test_locked_imports import IMAGES, distributions, locked


@cache
def imported() -> frozenset[str]:
    """The top-level modules that the library imports at once, without those of refused tasks."""
    spec = find_spec("reasoning_gym")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    modules = [path for path in folder.rglob("*.py") if path.stem.isidentifier()]  # others are programs
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    statements = [statement for tree in trees for statement in tree.body]
    names = {alias.name for one in statements if isinstance(one, ast.Import) for alias in one.names}
    names |= {one.module for one in statements if isinstance(one, ast.ImportFrom) and one.module and not one.level}
    roots = {name.split(".")[0] for name in names}
    return frozenset(roots - set(sys.stdlib_module_names) - set(NEEDS.values()) - {"reasoning_gym"})


@pytest.mark.parametrize("image", ["control", "data", "grpo", "quantize"])
def test_every_import_of_the_library_is_locked(image: str) -> None:
    assert {"sympy", "dateutil", "numpy"} <= imported()
    for lock in (IMAGES / image).glob("requirements*.lock"):
        absent = {root for root in imported() if not set(distributions().get(root, [root])) & locked(lock)}
        assert not absent, f"{lock} lacks {absent}"


def test_what_comes_as_source_alone_is_in_no_lock() -> None:
    for lock in IMAGES.glob("*/requirements*.lock"):
        assert not set(NEEDS.values()) & locked(lock), lock
