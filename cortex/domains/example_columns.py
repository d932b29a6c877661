"""The columns of every domain's examples: building, reading and checking them."""

import hashlib
import json
from collections.abc import Iterable, Iterator

import polars as pl

from cortex.domains.domain import Example, Message, Split
from cortex.errors import DataError

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


def check_examples(frame: pl.DataFrame, kind: str) -> None:
    """Check the table that a domain built.

    Raises:
        DataError: a column is missing or of another type, an id is there twice, a cluster spans two splits, or a split
            is empty.
    """
    for name, wanted in SCHEMA.items():
        if frame.schema.get(name) != wanted:
            raise DataError(f"domain {kind!r} built column {name!r} as {frame.schema.get(name)}, not as {wanted}")
    twice = frame["id"].is_duplicated()
    if twice.any():
        raise DataError(f"domain {kind!r} built two examples with the id {frame['id'].filter(twice)[0]!r}")
    spread = frame.group_by("cluster").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if not spread.is_empty():
        raise DataError(f"domain {kind!r} built cluster {spread['cluster'].sort()[0]!r} into two splits")
    counts = dict(frame["split"].value_counts().iter_rows())
    if set(counts) != set(SPLITS):
        others = sorted(set(counts).difference(SPLITS), key=str)
        listed = ", ".join(f"{counts.get(split, 0)} {split}" for split in (*SPLITS, *others))
        raise DataError(f"domain {kind!r} built {listed} examples: every split needs some, and there are no others")
