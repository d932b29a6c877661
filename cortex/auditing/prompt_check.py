"""Truths in prompts: a question must not hold its answer."""

import polars as pl

from cortex.domains.audit_words import conversations

SHORT_TRUTH = 3
"""Length up to which a truth may occur in a question by chance, such as a digit or a move."""

TOO_MANY = 0.5
"""The share of questions with their truth from which on it is no chance."""


def check_prompts(rows: pl.DataFrame, truth_in_prompt: bool) -> list[str]:
    """A finding where most questions hold their truth, unless the domain says that they may."""
    if truth_in_prompt:
        return []
    texts = rows.select("id", pl.col("truth").str.strip_chars('"')).with_columns(conversations(rows).alias("text"))
    long = texts.filter(pl.col("truth").str.len_chars() > SHORT_TRUTH)
    shown = long.filter(pl.col("text").str.contains(pl.col("truth"), literal=True))
    if shown.is_empty() or shown.height < TOO_MANY * long.height:
        return []
    return [f"{shown.height:,} of {long.height:,} questions hold their truth, such as {shown['id'][0]}"]
