"""Outcome of a decision: the return over the horizon, once it is over, and which returns count as a rise."""

import datetime as dt
from typing import Any, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.markets.features import with_history
from cortex.domains.markets.spans import Span


def outcomes(prices: pl.DataFrame, horizon: Span, zone: str | None = None) -> pl.DataFrame:
    """Forward returns: symbol, time, outcome (a fraction), outcome_time (UTC, the close of the horizon's last bar).

    Of bars, the outcome is to the close so many bars later in the symbol's own history, unless a gap of more than a
    week lies between. Of days, it is to the close at the same hour so many days later, in `zone` if given.
    Where there is no such bar there is no row: a return over another span would answer another question.
    """
    if horizon.unit == "bars":
        found = with_history(prices).select(
            "symbol", "time", "close", *(
                pl.col(name).shift(-horizon.count).over("symbol", "_history").alias(alias)
                for name, alias in (("close", "_later"), ("time", "outcome_time"))
            )
        ).drop_nulls("outcome_time")  # fmt: skip
    else:
        found = _in_days(prices, horizon.count, zone)
    return found.select("symbol", "time", (pl.col("_later") / pl.col("close") - 1).alias("outcome"), "outcome_time")


def _in_days(prices: pl.DataFrame, days: int, zone: str | None) -> pl.DataFrame:
    # Clock time, so that a week later is the same hour where clocks were changed in between.
    clock = pl.col("time") if zone is None else pl.col("time").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    later = prices.select(
        "symbol",
        (clock - dt.timedelta(days=days)).alias("_clock"),
        pl.col("close").alias("_later"),
        pl.col("time").alias("outcome_time"),
    )
    now = prices.select("symbol", "time", "close", clock.alias("_clock"))
    return now.join(later, on=["symbol", "_clock"], how="inner", maintain_order="left")


@overload
def rise(change: float) -> float: ...
@overload
def rise(change: NDArray[np.float64]) -> NDArray[np.float64]: ...
@overload
def rise(change: pl.Expr) -> pl.Expr: ...
def rise(change: Any) -> Any:
    """1 for a return above 0, 0 for one below, and one half for a return of exactly 0.

    A price that ends where it began, as pegs do, is neither up nor down. It counts as half a rise, so that the best
    statement about it is one half: the Brier score then stays proper for the probability of a rise plus half that of no
    change, and no example is left out because of its outcome. Labels, rewards, scores and baselines all call this, so
    that they cannot disagree.
    """
    if isinstance(change, pl.Expr):
        return pl.when(change > 0).then(1.0).when(change == 0).then(0.5).otherwise(0.0)
    return (change > 0) + 0.5 * (change == 0)


def horizon_in_steps(decision_time: pl.Series, outcome_time: pl.Series) -> int:
    """Maximum number of decision dates that one outcome spans: 1 where outcomes do not overlap. N times each."""
    decided = decision_time.to_numpy()
    dates = np.unique(decided)
    spans = np.searchsorted(dates, outcome_time.to_numpy()) - np.searchsorted(dates, decided)
    return max(1, int(spans.max()))
