"""Train, validation and test splits by time, so that no split contains information on another's outcomes."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from cortex.domains.example_columns import SPLITS
from cortex.errors import DataError


@dataclass(frozen=True)
class Boundaries:
    """The decision times at which the validation and the test split start, the same for all symbols."""

    validation_start: dt.datetime
    test_start: dt.datetime
    embargo_days: int

    def split(self) -> pl.Expr:
        """The split of each row, by its decision_time and outcome_time; null where it belongs to none.

        Purged: an example whose outcome is known only after the boundary that ends its split. Embargoed: an example
        decided within `embargo_days` from the boundary that starts its split, whose trailing features overlap outcomes
        before it (López de Prado, Advances in Financial Machine Learning, 2018, ch. 7).
        """
        embargo = pl.duration(days=self.embargo_days)
        decided, known = pl.col("decision_time"), pl.col("outcome_time")
        return (
            pl.when((decided < self.validation_start) & (known <= self.validation_start))
            .then(pl.lit("train"))
            .when(
                (decided >= self.validation_start + embargo) & (decided < self.test_start) & (known <= self.test_start)
            )
            .then(pl.lit("validation"))
            .when(decided >= self.test_start + embargo)
            .then(pl.lit("test"))
            .alias("split")
        )


def count_times(examples: pl.DataFrame) -> pl.DataFrame:
    """The number of examples of each pair of times: decision_time, outcome_time, examples."""
    return examples.group_by("decision_time", "outcome_time").len("examples")


def find_boundaries(
    times: pl.DataFrame, *, train_fraction: float, validation_fraction: float, embargo_days: int
) -> Boundaries:
    """The boundaries at which the fractions of the examples are reached. `times` is as of `count_times`.

    Raises DataError where a split is left empty.
    """
    total = int(times["examples"].sum())
    if not total:
        raise DataError("no examples to split: give more history")
    sums = times.sort("decision_time").select("decision_time", pl.col("examples").cum_sum())

    def reached(fraction: float) -> dt.datetime:
        return sums["decision_time"][int(sums["examples"].search_sorted(int(total * fraction), side="right"))]

    boundaries = Boundaries(reached(train_fraction), reached(train_fraction + validation_fraction), embargo_days)
    kept = dict(times.group_by(boundaries.split()).agg(pl.col("examples").sum()).iter_rows())
    counts = {name: kept.get(name, 0) for name in SPLITS}
    if 0 in counts.values():
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(
            f"an empty split: {listed} of {total} examples after purge and embargo ({embargo_days} days): "
            "give more history, or lower horizon_days, every_days or embargo_days"
        )
    return boundaries


def assign_splits(examples: pl.DataFrame, boundaries: Boundaries) -> pl.DataFrame:
    """`examples` with a `split` column, in their order, without those of no split."""
    return examples.with_columns(boundaries.split()).filter(pl.col("split").is_not_null())
