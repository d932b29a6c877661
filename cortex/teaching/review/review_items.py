"""The answers to review: all flagged ones, and a sample of the others."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.errors import DataError
from cortex.teaching.review.decisions import hash_answer

GRADES = ("flagged", "accepted", "rejected")


@dataclass(frozen=True)
class Item:
    """One answer with the question it answers, and the grade and reasons of the rules."""

    example_id: str
    turns: tuple[tuple[str, str], ...]
    """Roles and texts of the question."""
    answer: str
    grade: str
    reasons: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.example_id, hash_answer(self.answer)


def read_items(folder: Path, sample: int = 0, seed: int = 0) -> list[Item]:
    """The flagged answers of a folder of labels, and `sample` each of the accepted and the rejected ones, shuffled.

    The order is fixed by the seed: it tells nobody what the rules had decided.

    Raises:
        DataError: the folder holds no labels, or a line is damaged.
    """
    rng = random.Random(seed)
    found: list[Item] = []
    for grade in GRADES:
        items = _read(folder / f"{grade}.jsonl", grade)
        found += items if grade == "flagged" else rng.sample(items, min(sample, len(items)))
    if sample:
        rng.shuffle(found)
    return found


def _read(path: Path, grade: str) -> list[Item]:
    if not path.is_file():
        raise DataError(f"{path} is not there: name a run whose `label` has ended, or a folder of its labels")
    items: list[Item] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row: Any = json.loads(line)
            turns = tuple((str(turn["role"]), str(turn["content"])) for turn in row["messages"])
            items.append(Item(str(row["example_id"]), turns[:-1], turns[-1][1], grade, tuple(map(str, row["reasons"]))))
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            raise DataError(f"{path}, line {number} is no label: make the labels anew") from None
    return items


def undecided(items: Sequence[Item], decided: set[tuple[str, str]]) -> list[Item]:
    """The items that somebody has not judged yet."""
    return [item for item in items if item.key not in decided]
