"""All terminal output of the kit goes through the one console that makes text harmless."""

import ast
from pathlib import Path

import pytest

from tests.test_floors import MODULES, imports

CONSOLES = {"rich.console.Console", "rich.print", "rich.get_console", "rich.markup", "rich.prompt"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_harmless_console_is_used(module: str) -> None:
    if module != "cortex.console":
        assert not used(MODULES[module]) & CONSOLES


def used(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return imports(path) | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
