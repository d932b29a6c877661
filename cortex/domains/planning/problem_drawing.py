"""The examples: problems that are drawn or read, each solved, and none in two splits."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cortex.domains.example_columns import SCHEMA, split_of
from cortex.domains.planning.best_plans import NoPlanError, best_plan
from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.plan_replies import join_words
from cortex.domains.planning.problem_file import read_problems
from cortex.domains.planning.problem_sizes import Sizes
from cortex.domains.planning.statements import Style, find_problem, name_problem, state
from cortex.domains.question import Message, Split
from cortex.errors import DataError

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

MISSES = 2000
"""Problems drawn in a row that are not new, after which a kind counts as exhausted."""


def draw_examples(sizes: Mapping[str, Sizes], counts: Mapping[Split, int], style: Style, seed: int) -> pl.DataFrame:
    """A table with the columns of `SCHEMA`, and `kind`, of problems that have a plan.

    No statement is in it twice, and no problem in two splits, not even with its boxes, jobs or robots in another order.
    Test problems are drawn first, so that they are as their sizes make them; training takes only others.

    Raises:
        DataError: a kind does not have that many different problems, or its sizes are beyond the solver.
    """
    split_by_key: dict[str, Split] = {}
    seen: set[str] = set()
    rows: dict[Split, list[dict[str, Any]]] = {}
    for split in reversed(SPLITS):
        streams = {
            kind: _fresh_rows(kind, size, split, style, seed, split_by_key, seen) for kind, size in sizes.items()
        }
        wanted = _turns({kind: size.weight for kind, size in sizes.items()}, counts[split])
        rows[split] = []
        for kind in wanted:
            row = next(streams[kind], None)
            if row is None:
                raise DataError(
                    f"domain.{kind} has too few different problems for the {wanted.count(kind)} wanted for {split}: "
                    "ask for fewer examples, or for larger problems"
                )
            rows[split].append(row)
    return pl.DataFrame(
        [row for split in SPLITS for row in rows[split]],
        schema={**SCHEMA, "kind": pl.String()},
    )


def read_examples(path: Path, style: Style) -> pl.DataFrame:
    """The same table, of the problems in a file.

    Raises:
        DataError: the file cannot be read, or a problem in it has no plan or is beyond the solver; the message has its
            line.
    """
    rows: list[dict[str, Any]] = []
    for listed in read_problems(path):
        try:
            rows.append(_row(listed.problem, listed.split or split_of(listed.problem.key()), style))
        except DataError as error:
            raise DataError(f"{path}:{listed.line}: {error}") from error
    return pl.DataFrame(rows, schema={**SCHEMA, "kind": pl.String()})


def _turns(weights: Mapping[str, float], count: int) -> list[str]:
    """The kinds in turns, in the proportion of their weights: at each turn the one that lags most."""
    total, given, turns = sum(weights.values()), dict.fromkeys(weights, 0), list[str]()
    for turn in range(1, count + 1):
        kind = max(weights, key=lambda name: turn * weights[name] / total - given[name])
        given[kind] += 1
        turns.append(kind)
    return turns


def _fresh_rows(
    kind: str,
    sizes: Sizes,
    split: Split,
    style: Style,
    seed: int,
    split_by_key: dict[str, Split],
    seen: set[str],
) -> Iterator[dict[str, Any]]:
    """Rows of problems that no other split has; they end when nothing new is drawn any more."""
    number = last = 0
    while number - last < MISSES:
        # A generator of its own for each problem: nearby seeds share none but by chance.
        problem = sizes.draw(random.Random(f"planning {seed} {split} {kind} {number}"))
        number += 1
        if problem is None:
            continue
        key, statement = problem.key(), state(problem, style)
        if statement in seen or split_by_key.get(key, split) != split:
            continue
        try:
            row = _row(problem, split, style)
        except NoPlanError:
            continue
        seen.add(statement)
        split_by_key[key] = split
        last = number
        yield row


def _row(problem: PlanProblem, split: Split, style: Style) -> dict[str, Any]:
    best, statement = best_plan(problem), state(problem, style)
    if find_problem(statement) != problem:
        raise DataError(
            f"a number above 9 has no compact statement, as in {name_problem(problem)}: use smaller ones, or style full"
        )
    truth = {"problem": problem.model_dump_json(), "cost": best.cost, "plan": join_words(best.plan, style)}
    return {
        "id": f"{problem.kind}/{_digest(statement)}",
        "split": split,
        "cluster": f"{problem.kind}/{_digest(problem.key())}",
        "at": None,
        "messages": [Message("user", statement)._asdict()],
        "truth": json.dumps(truth),
        "kind": problem.kind,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
