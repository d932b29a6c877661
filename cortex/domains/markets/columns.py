"""Detection of numeric columns that are no metrics: constants, counters and clocks, by their values and rows' times."""

import re

import polars as pl

from cortex.domains.markets.checks import FILE, OHLC, ROW
from cortex.domains.markets.timestamps import read_counts

_ENOUGH = 8
"""Minimum number of values for a test: with fewer, a straight line may well be chance."""

_NEAR_DAYS = 31
"""A column whose values are times within this many days of the row's own, on every row, is a clock, such as the bar's
end. A volume in dollars may look like such a time on some rows, but not on all."""

_THINGS = "block|ledger|slot|row|record|line|trade|order|tx|txn|transaction|event|log|first|last|max|min"
_COUNTER_NAME = re.compile(
    rf"(?:.*_)?(?:(?:{_THINGS})s?_?)*(?:id|ids|uid|idx|index|row|rownum|block|height|slot|seq|sequence|nonce)"
    rf"|(?:.*_)?(?:(?:{_THINGS})s?_?)+(?:number|num|no|nr)"
)
"""Names of block numbers and ids, also as `blockNumber` and `Blockno` are written in lower case."""


def why_no_metric(rows: pl.DataFrame, metric: str) -> str | None:
    """Reason why a column carries nothing to learn from; None for a metric, or for too few values to tell.

    `rows` has symbol, time, `FILE` and `ROW`, in the order of the files, and prices where there are any. Values decide,
    so that a counter is found under any name. A total that grows by differing steps is a metric. Names decide only for
    block numbers and ids, whose values cannot be told from those of a supply: both only rise.
    """
    prices = [price for price in OHLC if price in rows.columns]
    known = rows.select("symbol", "time", FILE, ROW, *prices, pl.col(metric).alias("value")).drop_nulls("value")
    if known.is_empty():
        return "no values"
    if (
        known.height > 1
        and not known.group_by("symbol").agg(_span("value").alias("span")).filter(pl.col("span") != 0).height
    ):
        return "a constant: one value for each symbol"
    return (
        _price_again(known, prices)
        or _clock(known)
        or _calendar(known)
        or _counter(known)
        or _identifier(known, metric)
    )


def _span(column: str) -> pl.Expr:
    return pl.col(column).max() - pl.col(column).min()


def _clock(known: pl.DataFrame) -> str | None:
    times = read_counts(known["value"])
    if times.null_count():
        return None
    apart = (times - known["time"].to_physical()).abs().max()
    return "a clock: times near the row's own" if int(apart or 0) <= _NEAR_DAYS * 86_400 * 10**6 else None  # type: ignore[arg-type]


def _calendar(known: pl.DataFrame) -> str | None:
    """Parts of the row's own date."""
    time = pl.col("time").dt
    day = time.weekday()
    parts: dict[str, list[pl.Expr]] = {
        "year": [time.year()],
        "month": [time.month()],
        "day of the month": [time.day()],
        "day of the week": [day, day - 1, day % 7, day % 7 + 1],
        "day of the year": [time.ordinal_day()],
        "week": [time.week()],
        "quarter": [time.quarter()],
        "hour": [time.hour()],
        "date": [time.year() * 100 + time.month()],
    }
    if known.height < _ENOUGH or not 0 <= float(known["value"].min() or 0) <= 300_000:  # type: ignore[arg-type]
        return None
    same = known.select(
        (pl.col("value") == form.cast(pl.Float64)).all().alias(f"{part}/{number}")
        for part, forms in parts.items()
        for number, form in enumerate(forms)
    ).row(0, named=True)
    part = next((name.split("/")[0] for name, is_so in same.items() if is_so), None)
    if part:
        return f"a clock: the {part} of the row's own time"
    return "a clock: one value for each day of the week" if _follows_weekday(known) else None


def _follows_weekday(known: pl.DataFrame) -> bool:
    """True where the day of the week decides the value, as for a flag of weekends; four weeks rule out chance."""
    weekday = pl.col("time").dt.weekday().alias("weekday")
    days = known.group_by("symbol", weekday).agg(pl.col("value").n_unique().alias("values"), pl.len().alias("rows"))
    return days.select((pl.col("values") == 1).all() & (pl.col("rows") >= 4).all()).item() and days.height > 1


def _counter(known: pl.DataFrame) -> str | None:
    """Values on a straight line over the rows of each file, the rows of each symbol, or time."""
    if _straight(known, FILE, pl.col(ROW)) or _straight(known, "symbol", pl.int_range(pl.len()).over("symbol")):
        return "a counter: the same step from each row to the next"
    if _straight(known, "symbol", pl.col("time").to_physical()):
        return "a clock: the same step in equal times"
    return None


def _straight(known: pl.DataFrame, by: str, along: pl.Expr) -> bool:
    """True where, in each group that is long enough, all values lie on one line that rises or falls."""
    value = pl.col("value")
    lines = known.select(by, along.cast(pl.Float64).alias("x"), "value").with_columns(
        (pl.col("x") - pl.col("x").first().over(by)).alias("x")
    )
    ends = lines.group_by(by, maintain_order=True).agg(
        pl.len().alias("count"),
        value.first().alias("first"),
        ((value.last() - value.first()) / pl.col("x").last()).alias("slope"),
        (pl.col("x").last() / (pl.len() - 1)).alias("step"),
    )
    long = ends.filter(pl.col("count") >= _ENOUGH)
    if long.is_empty() or not long.select((pl.col("slope").is_finite() & (pl.col("slope") != 0)).all()).item():
        return False
    # Off by a millionth of a step, or by what a float of this size cannot hold, still counts as on the line.
    off = (value - pl.col("first") - pl.col("slope") * pl.col("x")).abs()
    allowed = 1e-6 * (pl.col("slope") * pl.col("step")).abs() + 1e-15 * value.abs()
    return bool(lines.join(long, on=by).select((off <= allowed).all()).item())


def _identifier(known: pl.DataFrame, metric: str) -> str | None:
    if not _COUNTER_NAME.fullmatch(metric.strip("_")):
        return None
    whole = known["value"].is_finite().all() and (known["value"] == known["value"].floor()).all()
    rising = (
        known.sort("time", maintain_order=True)
        .select((pl.col("value").diff().over("symbol").fill_null(1) > 0).all())
        .item()
    )
    enough = known.height >= _ENOUGH
    return "a counter: whole numbers that only rise, under a counter's name" if enough and whole and rising else None


def _price_again(known: pl.DataFrame, prices: list[str]) -> str | None:
    """A column equal to a price on every row, such as an adjusted close where there is nothing to adjust."""
    same = (price for price in reversed(prices) if (known["value"] == known[price]).all())
    return next((f"a price: the same as {price} on every row" for price in same), None)
