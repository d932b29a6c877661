"""Tables of several domains as one table, and each domain's rows of it again."""

from collections.abc import Mapping
from typing import TypeVar

import polars as pl

from cortex.domains.example_columns import SCHEMA

Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def mix(tables: Mapping[str, pl.DataFrame], weights: Mapping[str, float]) -> pl.DataFrame:
    """One table of several domains' examples, interleaved within each split, so that a part of it holds all domains.

    Training examples are as many of each domain as its weight says, evenly spaced among its own; the most for which all
    domains have enough. The other splits stay whole. A domain's further columns get its name before theirs.
    """
    train = {name: table.filter(pl.col("split") == "train") for name, table in tables.items()}
    unit = min(len(rows) / weights[name] for name, rows in train.items())
    kept: list[pl.DataFrame] = []
    for name, table in tables.items():
        chosen = _evenly(train[name], max(1, int(unit * weights[name])))
        splits = [chosen, *(table.filter(pl.col("split") == split) for split in ("validation", "test"))]
        kept += [_placed(rows, name) for rows in splits]
    return pl.concat(kept, how="diagonal").sort("_split", "_place", maintain_order=True).drop("_split", "_place")


def take_apart(examples: Rows, name: str) -> Rows:
    """One domain's rows of a mixed table, as the domain built them."""
    own = [column for column in examples.collect_schema().names() if column in SCHEMA or column.startswith(f"{name}/")]
    rows = examples.filter(pl.col("id").str.starts_with(f"{name}/")).select(own)
    return rows.rename({column: column.removeprefix(f"{name}/") for column in own}).with_columns(
        pl.col("id", "cluster").str.strip_prefix(f"{name}/")
    )


def _evenly(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    return rows[[index * len(rows) // count for index in range(count)]]


def _placed(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """A domain's rows of one split, with their place between 0 and 1 in it."""
    further = [column for column in rows.columns if column not in SCHEMA]
    order = pl.col("split").replace_strict({"train": 0, "validation": 1, "test": 2}, return_dtype=pl.Int8)
    return rows.select(
        *(pl.format(f"{name}/{{}}", column).alias(column) for column in ("id", "cluster")),
        *(column for column in SCHEMA if column not in ("id", "cluster")),
        *(pl.col(column).alias(f"{name}/{column}") for column in further),
        _split=order,
        _place=(pl.int_range(pl.len()) + 0.5) / pl.len(),
    ).select(*SCHEMA, pl.exclude(*SCHEMA))
