"""Features of metrics that are revised: each decision sees the history as it was known at its time.

A table of vintages has a row for each value that a metric ever had: of a day, and known from some time on. At a
decision, each day has the value that was known last. So a revision changes what is decided after it, and nothing
before.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.markets.source import KNOWN_AT
from cortex.domains.markets.staleness import STALE_BARS, STALE_DAYS

Values = NDArray[np.float64]

_DAY, _MOMENT = np.timedelta64(1, "D"), np.timedelta64(1, "us")


def vintage_features(keys: pl.DataFrame, vintages: pl.DataFrame, window: int) -> pl.DataFrame:
    """`keys` (symbol, time, ...) with the z-score of each metric as it was known at that time, sorted by both.

    The same as of `features.metric_features` at each time: of the newest day that was known, in the window of the days
    up to it as they were known then, with the same rules for missing values and gaps.
    """
    metrics = vintages.columns[3:]
    states = pl.concat(
        _states(symbol, rows, metrics, window) for (symbol,), rows in vintages.group_by("symbol", maintain_order=True)
    )
    known = keys.sort("time").join_asof(
        states.sort("time"), on="time", by="symbol", strategy="backward", check_sortedness=False
    )
    # After a revision of an old day the newest one is no younger.
    stale = (pl.col("time") - pl.col("_fresh")).dt.total_days() > STALE_DAYS
    return (
        known.with_columns(pl.when(~stale).then(pl.col(metric)).alias(metric) for metric in metrics)
        .drop("_fresh")
        .sort("symbol", "time")
    )


def _states(symbol: object, rows: pl.DataFrame, metrics: list[str], window: int) -> pl.DataFrame:
    """The z-scores after each time at which something became known: symbol, time, _fresh, and a column a metric.

    `_fresh` is the time from which the newest day was known.
    """
    days = rows["time"].unique().sort()
    times, place = days.to_numpy(), days.search_sorted(rows["time"]).to_numpy()
    values = rows.select(pl.col(metrics).fill_null(np.nan)).to_numpy()
    when = rows[KNOWN_AT].to_numpy()
    starts = np.flatnonzero(np.r_[True, when[1:] != when[:-1]])
    history, first = np.full((len(days), len(metrics)), np.nan), np.full(len(days), np.datetime64("NaT", "us"))
    found, fresh = np.full((len(starts), len(metrics)), np.nan), np.zeros(len(starts), dtype="datetime64[us]")
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(rows)], strict=True)):
        changed = place[start:end]
        history[changed] = values[start:end]
        first[changed] = np.where(np.isnat(first[changed]), when[start], first[changed])
        known = np.flatnonzero(~np.isnat(first))
        gaps = np.flatnonzero(np.diff(times[known]) > (STALE_DAYS + 1) * _DAY - _MOMENT)
        unbroken = known[gaps[-1] + 1 :] if gaps.size else known
        found[number] = _z_of_last(history[unbroken], window)
        fresh[number] = first[unbroken[-1]]
    states = pl.DataFrame(found, schema=dict.fromkeys(metrics, pl.Float64())).fill_nan(None)
    stamps = {"time": when[starts], "_fresh": fresh}
    utc = [pl.Series(name, stamp).dt.replace_time_zone("UTC") for name, stamp in stamps.items()]
    return states.select(pl.lit(symbol).alias("symbol"), *utc, *metrics)


def _z_of_last(values: Values, window: int) -> Values:
    """The z-score of the last of H values in the window that it ends, of each metric (H x M); NaN where it is not full.

    It is of logarithms where no value of the history is 0 or less.
    """
    if len(values) < window:
        return np.full(values.shape[1], np.nan)
    tail = _filled(values[-(window + STALE_BARS) :])[-window:]
    positive = ~(values <= 0).any(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(positive, np.log(np.where(positive, tail, 1.0)), tail)
        z = (level[-1] - level.mean(axis=0)) / level.std(axis=0, ddof=1)
    return np.where(tail.max(axis=0) == tail.min(axis=0), 0.0, z)


def _filled(values: Values) -> Values:
    """Values in which a missing one is replaced by the one before it, for up to `STALE_BARS` rows."""
    rows = np.arange(len(values))[:, np.newaxis]
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    filled = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where((last >= 0) & (rows - last <= STALE_BARS), filled, np.nan)
