"""Train, validation and test splits by time, so that no split contains information on another's outcomes."""

import polars as pl

from cortex.domains.example_columns import SPLITS
from cortex.errors import DataError


def assign_splits(
    examples: pl.DataFrame, *, train_fraction: float, validation_fraction: float, embargo_days: int
) -> pl.DataFrame:
    """`examples` with a `split` column, without the rows that would let one split leak into the next.

    The boundaries are decision times, the same for all symbols, at which the fractions of the examples are reached.
    Purged: an example whose outcome is known only after the boundary that ends its split. Embargoed: an example decided
    within `embargo_days` from the boundary that starts its split, whose trailing features overlap outcomes before it
    (López de Prado, Advances in Financial Machine Learning, 2018, ch. 7). Order is kept. Raises DataError where a split
    is left empty.
    """
    if examples.is_empty():
        raise DataError("no examples to split: give more history")
    times = examples["decision_time"].sort()
    validation_start = times[int(len(times) * train_fraction)]
    test_start = times[int(len(times) * (train_fraction + validation_fraction))]
    embargo = pl.duration(days=embargo_days)
    decided, known = pl.col("decision_time"), pl.col("outcome_time")
    split = (
        pl.when((decided < validation_start) & (known <= validation_start))
        .then(pl.lit("train"))
        .when((decided >= validation_start + embargo) & (decided < test_start) & (known <= test_start))
        .then(pl.lit("validation"))
        .when(decided >= test_start + embargo)
        .then(pl.lit("test"))
    )
    kept = examples.with_columns(split.alias("split")).filter(pl.col("split").is_not_null())
    counts = {name: kept.filter(pl.col("split") == name).height for name in SPLITS}
    if 0 in counts.values():
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(
            f"an empty split: {listed} of {len(times)} examples after purge and embargo ({embargo_days} days): "
            "give more history, or lower horizon_days, every_days or embargo_days"
        )
    return kept
