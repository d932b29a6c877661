"""Dates and times as users' files hold them, read as UTC or refused."""

import datetime as dt
from typing import Literal

import polars as pl

from cortex.errors import DataError

UTC = pl.Datetime("us", "UTC")

_EARLIEST, _LATEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
_ISO = (
    r"^(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d{1,9})?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d{2}:?\d{2})?$"
)

_EpochUnit = Literal["s", "ms", "us", "ns"]
_EPOCH_BOUNDS: dict[_EpochUnit, int] = {"s": 10**11, "ms": 10**14, "us": 10**17}
"""Whole numbers below a bound, and not below a thousandth of it, count such units since 1970: from 1973 to 5138."""


def utc_times(times: pl.Series, file: str) -> tuple[pl.Series, bool | None]:
    """`times` as Datetime[us, UTC], and whether they name a time zone: None for plain dates, which need none.

    Takes dates, datetimes, ISO 8601 text, and whole numbers since 1970-01-01 in s, ms, us or ns. What names no zone is
    taken for UTC. Raises DataError where a value is missing, is none of these, or rows differ in their zone.
    """
    dtype = times.dtype
    if dtype == pl.String:
        utc, zoned = _from_text(times, file)
    elif dtype == pl.Date:
        utc, zoned = times.cast(pl.Datetime("us"), strict=False).dt.replace_time_zone("UTC"), None
    elif isinstance(dtype, pl.Datetime):
        zoned = dtype.time_zone is not None
        utc = (times if zoned else times.dt.replace_time_zone("UTC")).dt.convert_time_zone("UTC").cast(UTC)
    elif dtype.is_integer():
        utc, zoned = _from_epoch(times), True  # a count since 1970 is of UTC by definition
    else:
        raise DataError(f"{file}: column {times.name!r} holds {dtype}, not dates: write them as 2021-03-04")
    unusable = utc.is_null() | (utc < _EARLIEST) | (utc >= _LATEST)
    if unusable.any():
        row = unusable.arg_max() or 0
        # A date beyond the calendar has no Python value that could be shown.
        value = times[row] if dtype == pl.String or dtype.is_integer() else None
        shown = "no date" if value is None else f"{value!r}, not a date,"
        raise DataError(
            f"{file}: column {times.name!r} holds {shown} in row {row + 1}: write 2021-03-04 or 2021-03-04T00:00:00Z"
        )
    return utc, zoned


def _from_text(times: pl.Series, file: str) -> tuple[pl.Series, bool | None]:
    parts = times.str.strip_chars().str.extract_groups(_ISO).struct.unnest()
    text = pl.format("{}T{}{}", "day", pl.col("minute").fill_null("00:00"), pl.col("second").fill_null(":00"))
    utc, zone = parts.select(
        text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        .dt.replace_time_zone("UTC")
        .alias("utc"),
        pl.col("zone").replace({"Z": "+0000", "UTC": "+0000"}).str.replace(":", "").fill_null("").alias("zone"),
    )
    known = zone.filter(utc.is_not_null())
    if known.n_unique() > 1:
        other = utc.is_not_null() & (zone != known[0])
        row = other.arg_max() or 0
        raise DataError(
            f"{file}: column {times.name!r} mixes time zones, {times.drop_nulls()[0]!r} and, in row {row + 1}, "
            f"{times[row]!r}: write all in UTC"
        )
    offset = known[0] if len(known) else ""
    if not offset:
        return utc, None if parts["minute"].is_null().all() else False
    minutes = (-1 if offset[0] == "-" else 1) * (60 * int(offset[1:3]) + int(offset[3:5]))
    return utc.dt.offset_by(f"{-minutes}m"), True


def _from_epoch(times: pl.Series) -> pl.Series:
    """Null where a number is too small to be a time, such as the date 20210304, or too large."""
    whole = times.cast(pl.Int64, strict=False)
    known = whole.drop_nulls()
    units: list[_EpochUnit] = [unit for unit, bound in _EPOCH_BOUNDS.items() if (known < bound).all()]
    counted = whole.to_frame().select(pl.when(whole >= 10**8).then(whole)).to_series()
    return (
        pl.from_epoch(counted, time_unit=units[0] if units else "ns")
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
    )
