"""The import floors: a module imports only from floors below its own, or from its own package."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT

FLOORS: dict[str, int] = {
    "cortex.errors": 0,
    "cortex.text": 0,
    "cortex.paths": -1,
    "cortex.urls": 0,
    "cortex.client_settings": 1,
    "cortex.yaml_reader": 1,
    "cortex.clock": 0,
    "cortex.limits": 1,
    "cortex.console": 1,
    "cortex.settings": 2,
    "cortex.surroundings": 3,
    "cortex.section": 1,
    "cortex.process": 2,
    "cortex.artifacts": 2,
    "cortex.market": 3,
    "cortex.reasoning": 4,
    "cortex.runs": 5,
    "cortex.domains.dataset": 6,
    "cortex.training": 6,
    "cortex.evaluation": 6,
    "cortex.environments": 6,
    "cortex.docker": 6,
    "cortex.places": 7,
    "cortex.containers": 7,
    "cortex.live": 6,
    "cortex.fleet": 7,
    "cortex.serving": 7,
    "cortex.show": 7,
    "cortex.rehearsal": 8,
    "cortex.drill": 8,
    "cortex.stages": 9,
    "cortex.verbs": 10,
    "cortex.cli": 11,
    "cortex.__main__": 12,
    "cortex": 0,
}
"""By the longest name that a module's name begins with. `market`, `reasoning` and `runs` stand in this order."""

CORE = 5
ALLOWED = {"loguru", "numpy", "obstore", "polars", "pydantic", "pydantic_settings", "rich", "yaml"}
"""What floors 1 to 5 may import from elsewhere, the sources and the teacher's client apart."""
FURTHER = {
    "cortex.artifacts.aws_profile": {"boto3", "botocore"},
    "cortex.artifacts.signing_keys": {"cryptography"},
    "cortex.artifacts.trust": {"cryptography", "model_signing"},
    "cortex.artifacts.signature": {"cryptography", "model_signing", "sigstore"},
    "cortex.domains.markets.flipside": {"flipside", "requests"},
    "cortex.teaching.chat": {"openai"},
    "cortex.runs.base_client": {"huggingface_hub"},
    "cortex.runs.base_hub": {"httpx2"},
    "cortex.runs.base_revision": {"huggingface_hub"},
    "cortex.runs.hub": {"httpx", "huggingface_hub"},
    "cortex.urls": {"idna"},
}

MODULES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((CHECKOUT / "cortex").rglob("*.py"))
}


def unit(module: str) -> str:
    """The entry of the table that a module belongs to."""
    while module not in FLOORS:
        module = module.rpartition(".")[0]
        assert module, "a module outside the table"
    return module


@cache
def imports(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return frozenset(found)


@pytest.mark.parametrize("module", MODULES)
def test_no_module_catches_groups_of_exceptions(module: str) -> None:
    """Before Python 3.11.4, what is raised within `except*` comes out in a group, which no `except` of ours matches."""
    caught = [node.lineno for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.TryStar)]
    assert not caught, f"{module} has `except*` in line {caught[0]}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module: str) -> None:
    assert unit(module) != "cortex" or module == "cortex", f"{module} has no floor: add it to the table"
    own = unit(module)
    upward = [
        name
        for name in imports(MODULES[module])
        if name.split(".")[0] == "cortex" and unit(name) != own and FLOORS[unit(name)] >= FLOORS[own]
    ]
    assert not upward


@pytest.mark.parametrize("module", [module for module in MODULES if FLOORS[unit(module)] <= CORE])
def test_the_core_imports_nothing_heavy(module: str) -> None:
    others = {name.split(".")[0] for name in imports(MODULES[module])} - {"cortex"} - sys.stdlib_module_names
    assert others <= ALLOWED | FURTHER.get(module, set())
