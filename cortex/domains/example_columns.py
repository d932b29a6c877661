"""The columns of every domain's examples: building, reading and checking them."""

import hashlib
import json
from collections.abc import Iterable, Iterator

import polars as pl

from cortex.domains.question import Example, Message, Split
from cortex.errors import DataError

EXAMPLES = "examples.parquet"
"""The file of a dataset's examples, in its folder."""

MESSAGES = pl.List(pl.Struct({"role": pl.String(), "content": pl.String()}))

SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "split": pl.String(),
    "cluster": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "messages": MESSAGES,
    "truth": pl.String(),
}
"""Columns of every domain's examples; a domain may add its own.

`cluster` names a group of examples that are right or wrong together: a decision date, a source problem, a seed. `at` is
the time of the question, null where order means nothing. `truth` is JSON.
"""

SPLITS = ("train", "validation", "test")


def one_turn(prompts: pl.Series) -> pl.Series:
    """Conversations of a single question each."""
    turns = pl.DataFrame({"role": pl.repeat("user", len(prompts), eager=True), "content": prompts})
    return turns.select(pl.concat_list(pl.struct("role", "content")).alias("messages"))["messages"]


def split_of(cluster: str) -> Split:
    """The split of a cluster without a time, by a hash of its name: 70% train, 10% validation, 20% test."""
    tenth = int(hashlib.sha256(cluster.encode()).hexdigest(), 16) % 10
    return "train" if tenth < 7 else "validation" if tenth == 7 else "test"


def examples_frame(examples: Iterable[Example], clusters: Iterable[str]) -> pl.DataFrame:
    """A table of examples that have no order in time, with the cluster of each."""
    rows = [
        {
            "id": example.id,
            "split": example.split,
            "cluster": cluster,
            "at": None,
            "messages": [message._asdict() for message in example.messages],
            "truth": json.dumps(example.truth),
        }
        for example, cluster in zip(examples, clusters, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def read_rows(frame: pl.DataFrame) -> Iterator[Example]:
    """The examples of a table, one by one."""
    for name, split, messages, truth in frame.select("id", "split", "messages", "truth").iter_rows():
        turns = tuple(Message(turn["role"], turn["content"]) for turn in messages)
        yield Example(name, turns, json.loads(truth), split)


class ExamplesCheck:
    """A check of the tables that a domain built, part by part."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counts: dict[str, int] = {}
        self._ids: list[pl.Series] = []
        self._split_of: dict[str, str] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Check one part.

        Raises:
            DataError: a column is missing or of another type, an id is there twice, or a cluster spans two splits.
        """
        for name, wanted in SCHEMA.items():
            if frame.schema.get(name) != wanted:
                raise DataError(
                    f"domain {self._kind!r} built column {name!r} as {frame.schema.get(name)}, not as {wanted}"
                )
        twice = frame["id"].is_duplicated()
        if twice.any():
            raise DataError(f"domain {self._kind!r} built two examples with the id {frame['id'].filter(twice)[0]!r}")
        self._ids.append(frame["id"].hash())  # 8 bytes each, however long the ids are
        spread = [
            cluster
            for cluster, split in frame.select("cluster", "split").unique().iter_rows()
            if self._split_of.setdefault(cluster, split) != split
        ]
        if spread:
            raise DataError(f"domain {self._kind!r} built cluster {min(spread)!r} into two splits")
        for split, count in frame["split"].value_counts().iter_rows():
            self._counts[split] = self._counts.get(split, 0) + count

    def finish(self) -> None:
        """Check all parts together.

        Raises:
            DataError: two parts have an id in common, or a split is empty.
        """
        hashes = pl.concat(self._ids).sort() if self._ids else pl.Series(dtype=pl.UInt64)
        if len(self._ids) > 1 and (hashes.diff() == 0).any():
            raise DataError(f"domain {self._kind!r} built two examples with the same id, in two parts")
        if set(self._counts) != set(SPLITS):
            others = sorted(set(self._counts).difference(SPLITS), key=str)
            listed = ", ".join(f"{self._counts.get(split, 0)} {split}" for split in (*SPLITS, *others))
            raise DataError(
                f"domain {self._kind!r} built {listed} examples: every split needs some, and there are no others"
            )


def check_examples(frame: pl.DataFrame, kind: str) -> None:
    """Check the table that a domain built. Raises DataError as `ExamplesCheck`."""
    check = ExamplesCheck(kind)
    check.add(frame)
    check.finish()
