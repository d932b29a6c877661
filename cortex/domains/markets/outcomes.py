"""Outcome of a decision: the return over the horizon, once it is over, and which returns count as up."""

from typing import overload

import numpy as np
import polars as pl
from numpy.typing import NDArray


def outcomes(prices: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
    """Forward returns: symbol, date, outcome (a fraction), outcome_time (UTC, the close of the horizon's last day).

    `outcome` is close[date + horizon] / close[date] - 1 by the calendar. Where that day has no bar there is no row: a
    return over another span would answer another question.
    """
    later = prices.select("symbol", pl.col("date").dt.offset_by(f"-{horizon_days}d"), pl.col("close").alias("_later"))
    return (
        prices.select("symbol", "date", "close")
        .join(later, on=["symbol", "date"], how="inner", maintain_order="left")
        .select(
            "symbol",
            "date",
            (pl.col("_later") / pl.col("close") - 1).alias("outcome"),
            pl.col("date").dt.offset_by(f"{horizon_days + 1}d").cast(pl.Datetime("us", "UTC")).alias("outcome_time"),
        )
    )


@overload
def is_up(change: float) -> bool: ...
@overload
def is_up(change: NDArray[np.float64]) -> NDArray[np.bool_]: ...
@overload
def is_up(change: pl.Expr) -> pl.Expr: ...
def is_up(change: float | NDArray[np.float64] | pl.Expr) -> bool | NDArray[np.bool_] | pl.Expr:
    """True where a return is above 0.

    A forecast states the probability that the price rises, and a price that ends where it began has not risen: a
    return of exactly 0 is no rise. Labels, rewards, scores and baselines all call this, so that they cannot disagree.
    """
    return change > 0


def horizon_in_steps(decision_time: pl.Series, outcome_time: pl.Series) -> int:
    """Maximum number of decision dates that one outcome spans: 1 where outcomes do not overlap. N times each."""
    decided = decision_time.to_numpy()
    dates = np.unique(decided)
    spans = np.searchsorted(dates, outcome_time.to_numpy()) - np.searchsorted(dates, decided)
    return max(1, int(spans.max()))
