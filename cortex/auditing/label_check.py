"""Truths that are no move at all, one after another: the mark of prices that were filled forward."""

import polars as pl

from cortex.domains.audit_view import AuditView

CHANCE = 1e-4
"""The chance of such a stretch, by how often the series has no move elsewhere, below which it was filled."""

SHORTEST = 3
"""Examples of the shortest stretch that counts."""


def check_labels(rows: pl.DataFrame, view: AuditView) -> list[str]:
    """A finding on series with a stretch of outcomes of exactly 0 that chance does not explain.

    A peg has them all along; a history that was filled where nobody traded has them in a stretch.
    """
    if not view.may_be_filled or view.outcome is None or view.series is None or rows["at"].has_nulls():
        return []
    ordered = rows.select("id", "at", pl.col(view.series).alias("series")).with_columns(view.outcome.alias("outcome"))
    still = pl.col("outcome") == 0
    runs = (
        ordered.sort("series", "at")
        .with_columns(
            still.alias("still"), (still != still.shift(1)).fill_null(True).cum_sum().over("series").alias("run")
        )
        .group_by("series", "run", maintain_order=True)
        .agg(pl.len().alias("length"), pl.col("still").first(), pl.col("id").first())
    )
    longest = runs.filter("still").sort("length", descending=True).group_by("series", maintain_order=True).first()
    counts = ordered.group_by("series").agg(pl.len().alias("count"), still.sum().alias("zeros"))
    joined = longest.join(counts, on="series")
    # One more than there are, so that a series without any other such outcome has a rate, too.
    rate = (pl.col("zeros") - pl.col("length") + 1) / (pl.col("count") - pl.col("length") + 1)
    filled = joined.filter(
        (pl.col("length") >= SHORTEST) & (pl.col("count") * rate ** pl.col("length") < CHANCE)
    ).sort("series")  # fmt: skip
    if filled.is_empty():
        return []
    series, length, first = filled.select("series", "length", "id").row(0)
    return [
        f"{filled.height} series have outcomes of exactly 0 in a row, such as {series} {length} times from {first} on: "
        "prices that were filled forward are no truths; leave those bars out"
    ]
