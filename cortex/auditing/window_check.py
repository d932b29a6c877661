"""Windows of outcomes: none may reach into a later split."""

from itertools import combinations

import polars as pl

from cortex.domains.example_columns import SPLITS


def check_windows(rows: pl.LazyFrame, outcome_time: str | None) -> list[str]:
    """Findings on outcomes that are known only after a later split begins. Examples without a time have none.

    `outcome_time` is the column of the time from which the truth is known; None where there is none.
    """
    end = outcome_time or "at"
    used = rows.select("id", "split", "at", pl.col(end).alias("end"))
    starts = dict(used.group_by("split").agg(pl.col("at").min()).collect(engine="streaming").iter_rows())
    found: list[str] = []
    for earlier, later in combinations(SPLITS, 2):
        start = starts.get(later)
        if start is None or starts.get(earlier) is None:
            continue
        # A decision at the moment at which an outcome becomes known may use it.
        beyond = pl.col("end") > start if outcome_time else pl.col("end") >= start
        over = used.filter((pl.col("split") == earlier) & beyond)
        count = over.select(pl.len()).collect(engine="streaming").item()
        if count:
            first = over.select("id", "end").head(1).collect().row(0)
            found.append(
                f"{count:,} {earlier} outcomes are known only after {later} begins ({start:%Y-%m-%d %H:%M}), such as "
                f"{first[0]} ({first[1]:%Y-%m-%d %H:%M}): purge and embargo the splits"
            )
    return found
