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
    "cortex.evaluation": 3,
    "cortex.domains": 4,
    "cortex.teaching": 5,
    "cortex.runs": 6,
    "cortex.training": 7,
    "cortex.environments": 7,
    "cortex.docker": 7,
    "cortex.live": 7,
    "cortex.places": 8,
    "cortex.containers": 8,
    "cortex.fleet": 8,
    "cortex.serving": 8,
    "cortex.show": 8,
    "cortex.rehearsal": 9,
    "cortex.drill": 9,
    "cortex.stages": 10,
    "cortex.verbs": 11,
    "cortex.cli": 12,
    "cortex.__main__": 13,
    "cortex": 0,
}
"""By the longest name that a module's name begins with."""

CORE = 6
ALLOWED = {"loguru", "numpy", "obstore", "polars", "pydantic", "pydantic_settings", "rich", "yaml"}
"""What floors up to `CORE` may import from elsewhere, those below apart."""
FURTHER = {
    "cortex.artifacts.aws_profile": {"boto3", "botocore"},
    "cortex.artifacts.signing_keys": {"cryptography"},
    "cortex.artifacts.trust": {"cryptography", "model_signing"},
    "cortex.artifacts.signature": {"cryptography", "model_signing", "sigstore"},
    "cortex.domains.markets.baselines": {"sklearn"},
    "cortex.domains.markets.flipside": {"flipside", "requests"},
    "cortex.domains.markets.plots": {"matplotlib"},
    "cortex.evaluation.bootstrap": {"scipy"},
    "cortex.evaluation.plots": {"matplotlib"},
    "cortex.evaluation.svg": {"matplotlib"},
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


def domain_of(module: str) -> str | None:
    """The domain that a module belongs to; None where to none."""
    parts = module.split(".")
    is_domain = parts[:2] == ["cortex", "domains"] and (CHECKOUT.joinpath(*parts[:3]) / "__init__.py").exists()
    return parts[2] if is_domain and len(parts) > 2 else None


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


@pytest.mark.parametrize("module", MODULES)
def test_no_module_but_its_own_names_a_domain(module: str) -> None:
    """Found by their `kind`, domains come and go without a change of the kit."""
    home = domain_of(module)
    others = {domain_of(name) for name in imports(MODULES[module])} - {None, home}
    assert not others, f"{module} imports {', '.join(filter(None, others))}"


@pytest.mark.parametrize("module", [module for module in MODULES if FLOORS[unit(module)] <= CORE])
def test_the_core_imports_nothing_heavy(module: str) -> None:
    others = {name.split(".")[0] for name in imports(MODULES[module])} - {"cortex"} - sys.stdlib_module_names
    assert others <= ALLOWED | FURTHER.get(module, set())
