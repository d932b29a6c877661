"""Train, validation and test splits by time, so that no split contains information on another's outcomes."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from cortex.domains.example_columns import SPLITS
from cortex.domains.markets.spans import Span
from cortex.errors import DataError


@dataclass(frozen=True)
class Boundaries:
    """The decision times at which the validation and the test split start, the same for all symbols."""

    validation_start: dt.datetime
    test_start: dt.datetime

    def split(self) -> pl.Expr:
        """The split of each row, by its time, outcome_time and clear_of; null where it belongs to none.

        Purged: an example whose outcome is known only after the boundary that ends its split. Embargoed: an example
        decided within the embargo from the boundary that starts its split, whose trailing features overlap outcomes
        before it (López de Prado, Advances in Financial Machine Learning, 2018, ch. 7).
        """
        decided, known, clear_of = pl.col("time"), pl.col("outcome_time"), pl.col("clear_of")
        return (
            pl.when((decided < self.validation_start) & (known <= self.validation_start))
            .then(pl.lit("train"))
            .when((clear_of >= self.validation_start) & (decided < self.test_start) & (known <= self.test_start))
            .then(pl.lit("validation"))
            .when(clear_of >= self.test_start)
            .then(pl.lit("test"))
            .alias("split")
        )


def count_times(examples: pl.DataFrame) -> pl.DataFrame:
    """The number of examples of the same times: time, outcome_time, clear_of, examples.

    `clear_of` is the time by which an embargo before the decision began.
    """
    return examples.group_by("time", "outcome_time", "clear_of").len("examples")


def find_boundaries(
    times: pl.DataFrame, *, train_fraction: float, validation_fraction: float, embargo: Span
) -> Boundaries:
    """The boundaries at which the fractions of the examples are reached. `times` is as of `count_times`.

    Raises DataError where a split is left empty.
    """
    total = int(times["examples"].sum())
    if not total:
        raise DataError("no examples to split: give more history")
    sums = times.sort("time").select("time", pl.col("examples").cum_sum())

    def reached(fraction: float) -> dt.datetime:
        return sums["time"][int(sums["examples"].search_sorted(int(total * fraction), side="right"))]

    boundaries = Boundaries(reached(train_fraction), reached(train_fraction + validation_fraction))
    kept = dict(times.group_by(boundaries.split()).agg(pl.col("examples").sum()).iter_rows())
    counts = {name: kept.get(name, 0) for name in SPLITS}
    if 0 in counts.values():
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        unit = embargo.unit
        raise DataError(
            f"an empty split: {listed} of {total} examples after purge and embargo ({embargo.count} {unit}): "
            f"give more history, or lower horizon_{unit}, every_{unit} or embargo_{unit}"
        )
    return boundaries


def assign_splits(examples: pl.DataFrame, boundaries: Boundaries) -> pl.DataFrame:
    """`examples` with a `split` column, in their order, without those of no split."""
    return examples.with_columns(boundaries.split()).filter(pl.col("split").is_not_null())
