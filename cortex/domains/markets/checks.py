"""Checks of a table before anything is computed from it; an error names the first bad row."""

from collections.abc import Sequence

import polars as pl

from cortex.errors import DataError

OHLC = ("open", "high", "low", "close")

FILE, ROW = "_file", "_row"
"""Columns with the origin of each row: the file's number, and the row's number in it, from 0."""

_ROUNDING = 1e-9  # a high that was printed with fewer digits than the close it equals is no contradiction


def check_order(rows: pl.DataFrame, file: str) -> None:
    """Raise DataError unless each symbol's times rise from row to row and every row has a symbol."""
    before = pl.col("time").shift(1).over("symbol")
    problem = (
        pl.when(pl.col("symbol").is_null() | (pl.col("symbol") == ""))
        .then(pl.lit("has no symbol: give it, or drop the row"))
        .when(pl.col("time") == before)
        .then(
            pl.format(
                "repeats {} {}: drop duplicate rows, and where clocks were set back, write UTC", "symbol", _when("time")
            )
        )
        .when(pl.col("time") < before)
        .then(
            pl.format("is out of order, {} {} after {}: sort the rows by date", "symbol", _when("time"), _when(before))
        )
    )
    _raise_first(rows, problem, file)


def is_newest_first(rows: pl.DataFrame) -> bool:
    """True where each symbol's times fall from row to row, as some exchanges' and sites' exports list them."""
    before = pl.col("time").shift(1).over("symbol")
    # A symbol's first row has no row before it: its null says nothing of the order.
    falls = rows.select((pl.col("time") < before).alias("falls"))["falls"].drop_nulls()
    return len(falls) > 0 and bool(falls.all()) and not rows["symbol"].is_null().any()


def check_prices(rows: pl.DataFrame, file: str) -> None:
    """Raise DataError unless all prices are positive and finite, and open and close lie between low and high."""
    unusable = pl.lit(None, dtype=pl.String)
    for column in reversed(OHLC):
        price = pl.col(column)
        usable = price.is_not_null() & price.is_finite() & (price > 0)
        shown = price.cast(pl.String).fill_null("nothing")
        unusable = (
            pl.when(usable)
            .then(unusable)
            .otherwise(pl.format("has {} {} for {}: prices are positive numbers", pl.lit(column), shown, "symbol"))
        )
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    within = (pl.col("high") * (1 + _ROUNDING) >= top) & (pl.col("low") * (1 - _ROUNDING) <= bottom)
    crossed = pl.format(
        "of {} contradicts itself, open {} high {} low {} close {}: correct it, or drop it", "symbol", *OHLC
    )
    _raise_first(rows, pl.coalesce(unusable, pl.when(~within).then(crossed)), file)


def check_metrics(rows: pl.DataFrame, metrics: Sequence[str], file: str) -> None:
    """Raise DataError where a metric is infinite. A value may be missing: null or NaN."""
    for metric in metrics:
        infinite = pl.col(metric).is_infinite()
        problem = pl.when(infinite).then(pl.format("has an infinite {}: leave it empty if unknown", pl.lit(metric)))
        _raise_first(rows, problem, file)


def _raise_first(rows: pl.DataFrame, problem: pl.Expr, file: str) -> None:
    place = pl.col(ROW) + 1 if ROW in rows.columns else pl.int_range(1, pl.len() + 1)
    found = rows.select(place.alias("row"), problem.alias("problem")).filter(pl.col("problem").is_not_null())
    if found.height:
        row, text = found.row(0)
        more = f" ({found.height - 1:,} more rows are like it)" if found.height > 1 else ""
        raise DataError(f"{file}: row {row} {text}{more}")


def _when(time: str | pl.Expr) -> pl.Expr:
    expression = pl.col(time) if isinstance(time, str) else time
    return expression.dt.to_string("%Y-%m-%d %H:%M")
