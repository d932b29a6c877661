"""The examples that probes are made of."""

import numpy as np
import polars as pl

from cortex.domains.question import Conversation, Example


def spread_rows(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """At most `count` rows: one from each of as many equal stretches of the table, in its order.

    Which row of its stretch is drawn, always alike, so that a regular order of symbols does not show in the choice.
    """
    kept = min(count, len(rows))
    if not kept:
        return rows.clear()
    ends = np.arange(kept + 1) * len(rows) // kept
    return rows[np.random.default_rng(kept).integers(ends[:-1], ends[1:])]


def with_last_turn(example: Example, text: str) -> Conversation:
    """An example's conversation with another last turn."""
    return (*example.messages[:-1], example.messages[-1]._replace(content=text))
