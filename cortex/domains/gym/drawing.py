"""The examples of a profile's tasks: counts by weight, seeds apart, and no question twice."""

import json
import random
from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import JsonValue

from cortex.domains.example_columns import SCHEMA, SPLITS
from cortex.domains.gym.compact_forms import compact_form
from cortex.domains.gym.generators import Address, entry_at
from cortex.domains.gym.replies import INSTRUCTIONS
from cortex.domains.gym.task_config import Style, Task
from cortex.domains.question import Example, Message, Split
from cortex.errors import DataError

APART = 2 * 10**7
"""Distance of the splits' seeds. Question i is drawn by `Random(seed + i)`: nearer seeds would share questions."""

TRIES = 20
"""Questions drawn for each that is wanted, before a task counts as exhausted."""


def draw_examples(tasks: Mapping[str, Task], counts: Mapping[Split, int], style: Style, seed: int) -> pl.DataFrame:
    """A table with the columns of `SCHEMA`, and `task` and `level`.

    No question is in it twice. Test questions are drawn first, so that they are as the generators make them; training
    takes only others.

    Raises:
        ConfigError: a task, or one of its keys or levels, is wrong.
        DataError: a task does not have that many different questions.
    """
    # numpy's generators, which some tasks use, take seeds below 2**32.
    base = random.Random(seed).randrange(4 * 10**9)
    seen: set[str] = set()
    drawn: dict[str, list[dict[str, Any]]] = {}
    for number, split in enumerate(reversed(SPLITS)):
        rows = [
            ((at + 0.5) / count, place, row)
            for place, (name, count) in enumerate(share(tasks, counts[split]).items())
            for at, row in enumerate(_draw(tasks, name, split, count, style, base + number * APART, seen))
        ]
        rows.sort(key=lambda row: row[:2])  # the tasks in turns, in the proportion of their weights
        drawn[split] = [row for _, _, row in rows]
    schema = {**SCHEMA, "task": pl.String(), "level": pl.Int64()}
    return pl.DataFrame([row for split in SPLITS for row in drawn[split]], schema=schema)


def share(tasks: Mapping[str, Task], count: int) -> dict[str, int]:
    """The number of examples of each task that has some: by weight, rounded so that the sum is `count`."""
    total = sum(task.weight for task in tasks.values())
    shares = {name: count * task.weight / total for name, task in tasks.items()}
    whole = {name: int(exact) for name, exact in shares.items()}
    missing = count - sum(whole.values())
    for name in sorted(shares, key=lambda name: whole[name] - shares[name])[:missing]:
        whole[name] += 1
    return {name: number for name, number in whole.items() if number}


def _draw(
    tasks: Mapping[str, Task], name: str, split: Split, count: int, style: Style, seed: int, seen: set[str]
) -> list[dict[str, Any]]:
    levels = tasks[name].levels_of(split)
    rows: list[dict[str, Any]] = []
    for index in range(TRIES * count + 100):
        if len(rows) == count:
            return rows
        level = levels[len(rows) % len(levels)]
        address = Address(name, level, seed, index)
        entry = entry_at(tasks, address)[1]
        example = _example(address, entry, split, style)
        if example.text not in seen:
            seen.add(example.text)
            rows.append(_row(example, name, level))
    if len(rows) == count:
        return rows
    raise DataError(
        f"domain.tasks.{name} has too few different questions: {len(rows)} of the {count} wanted for {split} are in no "
        "other split; ask for fewer examples, or widen its config"
    )


def _example(address: Address, entry: Mapping[str, Any], split: Split, style: Style) -> Example:
    question: str = entry["question"]
    if style == "compact":
        prompt = compact_form(address.task).question(entry["metadata"])
    else:
        prompt = f"{question.rstrip()}\n\n{INSTRUCTIONS}"
    truth: JsonValue = entry["answer"]
    return Example(str(address), (Message("user", prompt),), truth, split)


def _row(example: Example, task: str, level: int | None) -> dict[str, Any]:
    return {
        "id": example.id,
        "split": example.split,
        "cluster": example.id,
        "at": None,
        "messages": [message._asdict() for message in example.messages],
        "truth": json.dumps(example.truth),
        "task": task,
        "level": level,
    }
