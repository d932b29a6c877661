"""Problems and domains of planning, for its tests."""

import json
from typing import Any

import polars as pl

from cortex.domains.planning.domain import Planning
from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.statements import read_problem
from cortex.domains.registry import read_domain
from cortex.settings import Settings

FEW = {"style": "compact", "examples": 40, "validation_examples": 8, "test_examples": 20}

SHOP = {"kind": "scheduling", "jobs": [[[1, 3], [2, 4]], [[2, 2], [1, 5]]]}
RING = {"kind": "logistics", "roads": ["ab", "bc", "cd", "da"], "lorry": "a", "boxes": ["bc", "ad"]}
STAFF = {"kind": "allocation", "costs": [[4, 1], [2, 1], [9, 9]], "hours": [2, 2, 1], "limits": [3, 2]}
SQUARE = {"kind": "coordination", "roads": ["ab", "bc", "cd", "da"], "robots": ["ab", "ba"]}


def problem(values: dict[str, Any]) -> PlanProblem:
    return read_problem(json.dumps(values))


def planning(**keys: Any) -> Planning:
    domain = read_domain({"kind": "planning", **FEW, **keys})
    assert isinstance(domain, Planning)
    return domain


def rows(domain: Planning, seed: int = 0) -> pl.DataFrame:
    return domain.build(seed, Settings()).examples
