"""Dates and times as users' files hold them, read as UTC or refused."""

import polars as pl

from cortex.errors import DataError

_ISO = (
    r"^(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<minute>\d{2}:\d{2})(?<second>:\d{2}(?:\.\d{1,9})?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d{2}:?\d{2})?$"
)
_EPOCH_UNITS = ((10**8, None), (10**11, "s"), (10**14, "ms"), (10**17, "us"))
"""Whole numbers below each bound count so many units since 1970: 10^8 seconds are 1973, 10^11 milliseconds too."""


def utc_times(times: pl.Series, file: str) -> tuple[pl.Series, bool | None]:
    """`times` as Datetime[us, UTC], and whether they name a time zone: None for plain dates, which need none.

    Takes dates, datetimes, ISO 8601 text, and whole numbers since 1970-01-01 in s, ms, us or ns. What names no zone is
    taken for UTC. Raises DataError where a value is missing, is none of these, or rows differ in their zone.
    """
    if times.null_count():
        row = times.is_null().arg_max()
        raise DataError(f"{file}: column {times.name!r} has no value in row {(row or 0) + 1}: give it, or drop the row")
    dtype = times.dtype
    if dtype == pl.Date:
        return times.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), None
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            return times.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), False
        return times.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC")), True
    if dtype == pl.String:
        return _from_text(times, file)
    if dtype.is_integer():
        return _from_epoch(times, file), True  # a count since 1970 is of UTC by definition
    raise DataError(f"{file}: column {times.name!r} holds {dtype}, not dates: write them as 2021-03-04")


def _from_text(times: pl.Series, file: str) -> tuple[pl.Series, bool | None]:
    parts = times.str.strip_chars().str.extract_groups(_ISO).struct.unnest()
    text = pl.format("{}T{}{}", "day", pl.col("minute").fill_null("00:00"), pl.col("second").fill_null(":00"))
    zone = pl.col("zone").replace({"Z": "+0000", "UTC": "+0000"}).str.replace(":", "")
    parsed = parts.select(
        text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).alias("time"),
        zone.fill_null("").alias("zone"),
        pl.col("minute").is_null().alias("dated"),
    )
    if parsed["time"].null_count():
        row = parsed["time"].is_null().arg_max() or 0
        raise DataError(
            f"{file}: column {times.name!r} holds {times[row]!r} in row {row + 1}, not a date: "
            "write it as 2021-03-04 or 2021-03-04T00:00:00Z"
        )
    zones = parsed["zone"].unique(maintain_order=True).to_list()
    if len(zones) > 1:
        row = (parsed["zone"] != zones[0]).arg_max() or 0
        raise DataError(
            f"{file}: column {times.name!r} mixes time zones, {times[0]!r} and, in row {row + 1}, {times[row]!r}: "
            "write all in UTC"
        )
    offset = zones[0] if zones else ""
    utc = parsed["time"].dt.replace_time_zone("UTC")
    if offset:
        sign = -1 if offset[0] == "-" else 1
        utc = utc.dt.offset_by(f"{-sign * (60 * int(offset[1:3]) + int(offset[3:5]))}m")
    return utc, True if offset else (None if parsed["dated"].all() else False)


def _from_epoch(times: pl.Series, file: str) -> pl.Series:
    value = times.abs().max()
    largest = value if isinstance(value, int) else 0
    unit = next((unit for bound, unit in _EPOCH_UNITS if largest < bound), "ns")
    if unit is None:
        raise DataError(
            f"{file}: column {times.name!r} holds {times[0]}, too small for a time since 1970: "
            "write dates as 2021-03-04"
        )
    per_us = {"s": times.cast(pl.Int64) * 1_000_000, "ms": times.cast(pl.Int64) * 1000, "us": times.cast(pl.Int64)}
    micros = per_us.get(unit)
    micros = times.cast(pl.Int64) // 1000 if micros is None else micros
    return micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
