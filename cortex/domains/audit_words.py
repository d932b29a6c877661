"""Questions as word sequences, for the audit of domains whose examples are texts."""

import polars as pl

from cortex.domains.audit_view import AuditView

SHINGLE = 3
"""Words of a sequence."""

ALIKE = 0.8
"""The share of common sequences from which on two texts count as near-duplicates."""


def view_words(rows: pl.DataFrame) -> AuditView:
    """The questions of examples as sequences of words; a question of fewer words is one sequence."""
    return AuditView(tokens=shingles(conversations(rows)), alike=ALIKE)


def conversations(rows: pl.DataFrame) -> pl.Series:
    """The text of each example's turns."""
    text = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    return rows.select(text.alias("text"))["text"]


def shingles(texts: pl.Series) -> pl.Series:
    """The sequences of `SHINGLE` consecutive words of each text, lower case."""
    words = pl.col("text").str.to_lowercase().str.extract_all(r"\S+")
    table = texts.alias("text").to_frame().with_row_index("row").with_columns(words.alias("word")).explode("word")
    following = [pl.col("word").shift(-ahead).over("row") for ahead in range(SHINGLE)]
    # The last words of a text begin no whole sequence; those of a short text are all there is.
    short = pl.len().over("row") < SHINGLE
    whole = table.with_columns(pl.concat_str(following, separator=" ").alias("token"), short.alias("short"))
    token = pl.when("short").then(pl.col("word").str.join(" ").over("row")).otherwise("token")
    lists = whole.with_columns(token.alias("token")).group_by("row", maintain_order=True).agg(
        pl.col("token").drop_nulls().unique(maintain_order=True)
    )  # fmt: skip
    return lists["token"]
