"""The import floors: a module imports only from floors below its own, or from its own package."""

import ast
import sys
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT

_ROOMS: tuple[tuple[str, ...], ...] = (
    ("text", "paths", "clock"),
    ("errors",),
    ("urls", "limits", "console", "section", "yaml_reader"),
    ("variables", "process"),
    ("settings",),
    ("artifacts",),
    ("evaluation",),
    ("domains",),
    ("auditing", "probing", "teaching", "profiles"),
    ("runs.metadata",),
    ("runs",),
    ("bases",),
    ("local", "tracking"),
    ("checkpoints",),
    ("models",),
    ("trainers",),
    ("benching", "search", "tracing", "serving", "training_api"),
    ("benchmarks",),
    ("fleet.clouds", "fleet.home"),
    ("fleet.publish", "fleet.sweep", "fleet.tasks", "fleet.watch"),
    ("fleet.capacity", "fleet.status"),
    ("fleet.estimate",),
    ("fleet.launch", "fleet.preflight", "report"),
    ("drill", "stages"),
    ("verbs",),
    ("cli",),
    ("__main__",),
)
"""The floors, from the lowest up: each with its rooms, which do not import one another."""

FLOORS = {f"cortex.{room}": floor for floor, rooms in enumerate(_ROOMS) for room in rooms} | {
    # Packages that hold nothing but rooms, and a docstring or the version.
    "cortex": -1,
    "cortex.fleet": -1,
}
"""Floor of each room, by the longest prefix of a module's name."""

CORE = FLOORS["cortex.bases"]
ALLOWED = {"loguru", "numpy", "obstore", "polars", "pydantic", "pydantic_settings", "rich", "yaml"}
"""Libraries that floors up to `CORE` may import, besides those of `FURTHER`."""
FURTHER = {
    "cortex.artifacts.aws_profile": {"boto3", "botocore"},
    "cortex.artifacts.signing_keys": {"cryptography"},
    "cortex.artifacts.trust": {"cryptography", "model_signing"},
    "cortex.artifacts.signature": {"cryptography", "model_signing", "sigstore"},
    "cortex.auditing.duplicate_check": {"datasketch"},
    "cortex.domains.chat.near_copies": {"datasketch"},
    "cortex.domains.chat.usual_replies": {"sklearn"},
    "cortex.domains.gym.generators": {"reasoning_gym"},
    "cortex.domains.markets.backtest.capital_routing": {"scipy", "sklearn"},
    "cortex.domains.markets.backtest.deflation": {"scipy"},
    "cortex.domains.markets.backtest.overfitting": {"scipy"},
    "cortex.domains.markets.baselines": {"threadpoolctl"},
    "cortex.domains.markets.certainty.changepoint_gate": {"ruptures"},
    "cortex.domains.markets.certainty.confidence_set": {"arch"},
    "cortex.domains.markets.certainty.conformal": {"crepes"},
    "cortex.domains.markets.certainty.edge_gate": {"scipy", "statsmodels"},
    "cortex.domains.markets.certainty.gate_bench": {"scipy", "scoringrules"},
    "cortex.domains.markets.certainty.gate_findings": {"statsmodels"},
    "cortex.domains.markets.certainty.information_ratio": {"scipy"},
    "cortex.domains.markets.certainty.kelly_gate": {"scipy"},
    "cortex.domains.markets.certainty.online_changepoint": {"scipy"},
    "cortex.domains.markets.certainty.quantile_intervals": {"statsmodels"},
    "cortex.domains.markets.certainty.regime_gate": {"hmmlearn"},
    "cortex.domains.markets.learned_baselines": {"sklearn"},
    "cortex.domains.markets.scores.breakdown": {"scipy", "statsmodels"},
    "cortex.domains.markets.scores.calibration_curve": {"sklearn"},
    "cortex.domains.markets.scores.interval_scores": {"scoringrules"},
    "cortex.domains.markets.live.candles": {"ccxt"},
    "cortex.domains.markets.live.dune_pages": {"dune_client", "requests"},
    "cortex.domains.markets.live.flipside_client": {"flipside", "requests", "urllib3"},
    "cortex.domains.markets.live.llama": {"defillama_sdk", "requests"},
    "cortex.domains.markets.plots": {"matplotlib"},
    "cortex.domains.markets.simple_baselines": {"sklearn"},
    "cortex.domains.markets.warehouse.sql_engine": {"duckdb", "sqlglot"},
    "cortex.domains.planning.best_plans": {"ortools"},
    "cortex.evaluation.bootstrap": {"scipy"},
    "cortex.evaluation.groups": {"scipy"},
    "cortex.evaluation.page_chapters": {"matplotlib"},
    "cortex.evaluation.page_plots": {"matplotlib"},
    "cortex.evaluation.sample_size": {"scipy"},
    "cortex.evaluation.svg": {"matplotlib"},
    "cortex.teaching.batch_client": {"openai"},
    "cortex.teaching.batch_http": {"openai"},
    "cortex.teaching.bounded_http": {"aiohttp", "yarl"},
    "cortex.teaching.quality.language": {"py3langid"},
    "cortex.teaching.review.agreement": {"sklearn"},
    "cortex.bases.base_client": {"huggingface_hub"},
    "cortex.bases.base_hub": {"httpx2"},
    "cortex.bases.base_revision": {"huggingface_hub"},
    "cortex.bases.dataset_revision": {"httpx", "huggingface_hub"},
    "cortex.bases.hub": {"httpx", "huggingface_hub"},
    "cortex.urls": {"idna"},
}

MODULES = {
    ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((CHECKOUT / "cortex").rglob("*.py"))
}


LONGEST = 60
"""Lines of the longest function, from its `def` to its end: more cannot be read at one look."""


def unit(module: str) -> str:
    """The entry of the table for a module."""
    while module not in FLOORS:
        module = module.rpartition(".")[0]
        assert module, "a module outside the table"
    return module


def domain_of(module: str) -> str | None:
    """The domain of a module; None where it belongs to none."""
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
    """Before Python 3.11.4 an error raised within `except*` comes out in a group, which no `except` of ours matches."""
    caught = [node.lineno for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.TryStar)]
    assert not caught, f"{module} has `except*` in line {caught[0]}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module: str) -> None:
    own = unit(module)
    assert FLOORS[own] >= 0 or module == own, f"{module} has no floor: add it to the table"
    upward = [
        name
        for name in imports(MODULES[module])
        if name.split(".")[0] == "cortex" and unit(name) != own and FLOORS[unit(name)] >= FLOORS[own]
    ]
    assert not upward


def test_no_modules_import_one_another_in_a_circle() -> None:
    """Imports in functions and for types count, too: each module can be read after those that it imports."""
    order = TopologicalSorter({module: imports(path) & MODULES.keys() for module, path in MODULES.items()})
    order.prepare()  # raises CycleError, which names the modules of the circle


def test_no_two_modules_have_one_name() -> None:
    """Readers look for modules by name; every domain's folder has the same two."""
    named: dict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        if path.name != "__init__.py" and not (domain_of(module) and path.stem in ("config", "domain")):
            named[path.stem].append(module)
    assert not {name: modules for name, modules in named.items() if len(modules) > 1}


def test_no_room_is_too_large() -> None:
    lines: dict[Path, int] = defaultdict(int)
    for path in MODULES.values():
        lines[path.parent] += len(path.read_text(encoding="utf-8").splitlines())
    largest = max(lines, key=lines.__getitem__)
    assert lines[largest] <= 0.15 * sum(lines.values()), f"{largest} holds {lines[largest]:,} lines: split it"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_but_its_own_names_a_domain(module: str) -> None:
    """Domains are found by their `kind`, so that they come and go without a change of the kit."""
    home = domain_of(module)
    others = {domain_of(name) for name in imports(MODULES[module])} - {None, home}
    assert not others, f"{module} imports {', '.join(filter(None, others))}"


@pytest.mark.parametrize("module", [module for module in MODULES if FLOORS[unit(module)] <= CORE])
def test_the_core_imports_nothing_heavy(module: str) -> None:
    others = {name.split(".")[0] for name in imports(MODULES[module])} - {"cortex"} - sys.stdlib_module_names
    assert others <= ALLOWED | FURTHER.get(module, set())


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("folder", ["cortex", "infra", "scripts"])
def test_no_function_is_too_long(folder: str) -> None:
    """A longer one is split by its concepts; decorators do not count, parameters and the docstring do."""
    lengths = {
        f"{path.relative_to(CHECKOUT)}:{function.lineno} {function.name}": (function.end_lineno or 0)
        - function.lineno
        + 1
        for path in sorted((CHECKOUT / folder).rglob("*.py"))
        for function in functions(path)
    }
    assert lengths, f"{folder} has no functions"
    too_long = [f"{name} has {lines} lines" for name, lines in lengths.items() if lines > LONGEST]
    assert not too_long, f"{'; '.join(too_long)}: at most {LONGEST} are allowed"
