"""The solver's plans, against an exhaustive search that knows only the rules; and problems that no plan solves."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.planning import best_plans
from cortex.domains.planning.best_plans import NoPlanError, best_plan
from cortex.domains.planning.plan_problem import BrokenRuleError, Plan, PlanProblem
from cortex.domains.planning.problem_sizes import (
    AllocationSizes,
    CoordinationSizes,
    LogisticsSizes,
    SchedulingSizes,
    Sizes,
)
from cortex.domains.planning.spoiling import spoil
from cortex.errors import DataError
from tests.domains.planning.known_problems import RING, SHOP, SQUARE, STAFF, planning, problem, rows

SMALL = (
    SchedulingSizes(jobs=(2,), machines=2),
    LogisticsSizes(places=4, boxes=(1,), roads_across=1),
    AllocationSizes(tasks=4, people=3, longest=3, limit=4),
    CoordinationSizes(width=2, height=2),
)


def plans(given: PlanProblem, longest: int) -> Iterator[Plan]:
    """Every sequence of up to some number of the words that any plan can have."""
    known = {
        "scheduling": lambda: "ABC"[: len(getattr(given, "jobs", ()))],
        "logistics": lambda: ["a", "b", "c", "d", "+1", "-1"],
        "allocation": lambda: "123",
        "coordination": lambda: [a + b for a in "abcd" for b in "abcd" if a != b],
    }[given.kind]()
    for length in range(1, longest + 1):
        yield from itertools.product(known, repeat=length)


def cheapest(given: PlanProblem, longest: int) -> int | None:
    costs: list[int] = []
    for plan in plans(given, longest):
        try:
            costs.append(given.run(plan).cost)
        except BrokenRuleError:
            continue
        if given.kind in ("logistics", "coordination"):  # there the shorter plan is the cheaper
            break
    return min(costs, default=None)


@pytest.mark.parametrize("sizes", SMALL, ids=lambda sizes: type(sizes).__name__)
def test_no_plan_is_cheaper_than_the_solvers(sizes: Sizes) -> None:
    tried = solved = 0
    while tried < 5:
        given = sizes.draw(random.Random(tried * 100 + solved))
        tried += 1
        if given is None:
            continue
        try:
            best = best_plan(given)
        except NoPlanError:
            assert cheapest(given, 4) is None
            continue
        if len(best.plan) <= 5:
            assert best.cost == given.run(best.plan).cost == cheapest(given, len(best.plan)), given
            solved += 1
    assert solved >= 2


@pytest.mark.parametrize(("values", "cost"), [(SHOP, 8), (RING, 7), (STAFF, 12), (SQUARE, 3)])
def test_known_problems_have_known_optima(values: dict[str, Any], cost: int) -> None:
    assert best_plan(problem(values)).cost == cost


@pytest.mark.parametrize(
    ("values", "plan"),
    [
        # Machine 1 is free for A and for B at once, and either order ends at 4: the one that begins sooner in sum.
        ({**SHOP, "jobs": [[[1, 3]], [[1, 1]]]}, "B A"),
        ({**STAFF, "costs": [[1, 1], [1, 1]], "hours": [1, 1], "limits": [1, 1]}, "1 2"),
        ({**RING, "boxes": ["bc", "bc"]}, "b +1 +2 c -1 -2"),
        # Both ways round the square take two steps; one robot waits at its goal while the other walks.
        ({**SQUARE, "robots": ["ac"]}, "b c"),
        ({**SQUARE, "roads": ["ab", "bc", "cd", "de"], "robots": ["ac", "de"]}, "be ce"),
    ],
)
def test_of_equally_good_plans_a_rule_takes_one(values: dict[str, Any], plan: str) -> None:
    assert " ".join(best_plan(problem(values)).plan) == plan


@pytest.mark.parametrize(
    "values",
    [
        {**RING, "roads": ["ab", "bc", "de"], "boxes": ["be"]},
        {**STAFF, "limits": [2, 2]},
        {**SQUARE, "roads": ["ab", "bc"]},  # in a corridor two robots cannot pass
        {**SQUARE, "roads": ["ab", "cd"], "robots": ["ac"]},
    ],
)
def test_a_problem_without_a_plan_is_refused_in_one_line(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    file.write_text(problem(SHOP).model_dump_json() + "\n\n" + problem(values).model_dump_json() + "\n")
    with pytest.raises(DataError, match=rf"{file}:3: no plan .*solves .*{values['kind']}.*: change it") as caught:
        rows(planning(problems=str(file)))
    assert "\n" not in str(caught.value)


def test_a_problem_beyond_the_solver_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SchedulingSizes(jobs=(8,), machines=4).draw(random.Random(0))
    assert given is not None
    monkeypatch.setattr(best_plans, "EFFORT", 1e-9)
    with pytest.raises(DataError, match=r"the solver cannot prove the best plan of .*scheduling.*: take a smaller"):
        best_plan(given)


def test_spoiled_plans_are_worse_than_the_best_and_some_are_still_plans() -> None:
    found: list[int | None] = []
    for sizes in SMALL[:3]:
        for seed in range(20):
            given = sizes.draw(random.Random(seed))
            assert given is not None
            try:
                best = best_plan(given)
            except NoPlanError:
                continue
            worse = spoil(given, best.plan, random.Random(seed))
            if worse is not None:
                try:
                    found.append(given.run(worse).cost)
                except BrokenRuleError:
                    found.append(None)
                assert found[-1] is None or found[-1] > best.cost
    assert len(found) > 30 and None in found and any(cost is not None for cost in found)
