"""Parsing of dates and times, row by row, to UTC; an error names the row and the value."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from cortex.domains.markets.account import quoted
from cortex.errors import DataError

UTC = pl.Datetime("us", "UTC")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS: dict[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units per second."""


def _seconds(year: int) -> int:
    return int((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _EPOCH).total_seconds())


_FIRST_COUNT, _END = _seconds(2000), _seconds(2100)
"""A bare number's size gives its unit. From 2000 to 2100 no number fits two units, and dates written as digits
(20240131, 202401311530) fit none. No market that the kit is for is older."""

_FIRST_DATE = _seconds(1971)
"""Dates of 1970 are refused: other programs make them of a zero, or of a count read in the wrong unit."""

_DAY = 86_400
_ISO = (
    r"^(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?<minute>[01]\d:[0-5]\d|2[0-3]:[0-5]\d)(?<second>:[0-5]\d(?:[.,]\d{1,9})?)?)?"
    r" ?(?<zone>[Zz]|UTC|GMT|utc|gmt|[+-]\d{2}(?::?\d{2})?(?: UTC)?)?$"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TAIL = r"(?P<tail>[ T]\d{2}:\d{2}.*)?"
_NAMED_MONTH = (
    re.compile(r"(?:[A-Z][a-z]{2,8},? )?(?P<day>\d{1,2})[ -](?P<month>[A-Za-z]{3,9})[ -](?P<year>\d{4})" + _TAIL),
    re.compile(r"(?P<month>[A-Za-z]{3,9}) (?P<day>\d{1,2}),? (?P<year>\d{4})" + _TAIL),
)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})(?P<mark>[/.])(?P<month>\d{2})(?P=mark)(?P<day>\d{2})" + _TAIL)
_UNCLEAR = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*")

Kind = Literal["date", "naive", "zoned"]


@dataclass(frozen=True)
class Times:
    """A column read as times."""

    utc: pl.Series
    """Datetime[us, UTC], none missing."""
    zoned: bool | None
    """True where they name a time zone; None for plain dates, which need none."""
    form: str
    """The file's notation of times, for the account of its columns."""


def read_times(times: pl.Series, file: str) -> Times:
    """Every row's time, each by its own form.

    Takes dates, datetimes, ISO 8601 text and its usual variants, text that names the month (RFC 2822), whole or
    fractional numbers since 1970 in s, ms, us or ns, and dates as eight digits. What names no zone is taken for UTC.
    Raises DataError, naming the row, where a value is missing, is none of these or is out of range, where the order of
    day and month is unclear, and where only some rows name a zone.
    """
    if isinstance(times.dtype, pl.Categorical | pl.Enum):
        times = times.cast(pl.String)
    dtype = times.dtype
    if dtype == pl.String:
        micros, kinds, form = _from_text(times)
    elif dtype == pl.Date:
        micros, kinds, form = _in_range(times.to_physical(), "d", _FIRST_DATE), _same("date", times), "dates"
    elif isinstance(dtype, pl.Datetime):
        zone = "naive" if dtype.time_zone is None else "zoned"
        micros = _in_range(times.to_physical(), dtype.time_unit, _FIRST_DATE)
        kinds, form = _same(zone, times), "datetimes"
    elif dtype.is_numeric():
        micros, kinds, form = _from_numbers(times)
    else:
        raise DataError(f"{file}: column {quoted(times.name)} holds {dtype}, not dates: write them as 2021-03-04")
    _check_rows(times, micros, file)
    _check_kinds(times, kinds, file)
    zoned = None if kinds[0] == "date" and (kinds == "date").all() else bool((kinds == "zoned").any())
    return Times(micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), zoned, form)


def read_counts(values: pl.Series) -> pl.Series:
    """Numbers as microseconds since 1970, each by the one unit that puts it between 2000 and 2100; null where none."""
    return _from_numbers(values)[0]


def _same(kind: Kind, times: pl.Series) -> pl.Series:
    return pl.repeat(kind, len(times), dtype=pl.String, eager=True)


def _in_range(counts: pl.Series, unit: str, first: int) -> pl.Series:
    """Counts of a known unit as microseconds; null outside the range, which is checked before anything can overflow."""
    if unit == "d":
        inside = counts.is_between(first // _DAY, _END // _DAY, closed="left")
        return _where(inside, counts.cast(pl.Int64) * (_DAY * 10**6))
    scale = _UNITS[unit]
    inside = counts.is_between(first * scale, _END * scale, closed="left")
    micros = counts * (10**6 // scale) if scale <= 10**6 else counts // (scale // 10**6)
    return _where(inside, micros)


def _where(mask: pl.Series, values: pl.Series) -> pl.Series:
    return pl.select(pl.when(mask).then(values)).to_series()


def _from_numbers(times: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    """Each row by its own unit: a file whose exchange changes from ms to us in the middle is read right."""
    counts = times.cast(pl.Float64) if times.dtype.is_float() or times.dtype.is_decimal() else None
    whole = times.cast(pl.Int64, strict=False)
    value = whole if counts is None else counts
    micros = pl.repeat(None, len(times), dtype=pl.Int64, eager=True)
    forms: list[str] = []
    for unit, scale in _UNITS.items():
        inside = value.is_between(_FIRST_COUNT * scale, _END * scale, closed="left").fill_null(False)
        if not inside.any():
            continue
        forms.append(unit)
        if counts is None:
            # Divided before multiplied: nanoseconds times a million would not fit 64 bits.
            scaled = whole // (scale // 10**6) if scale > 10**6 else whole * (10**6 // scale)
        else:
            scaled = (counts * (10**6 / scale)).round().cast(pl.Int64, strict=False)
        micros = pl.select(pl.when(inside).then(scaled).otherwise(micros)).to_series()
    kinds = _same("zoned", times)  # a count since 1970 is of UTC by definition
    days = _from_digits(whole)
    if days is not None:
        is_day = days.is_not_null()
        micros = pl.select(pl.when(is_day).then(days).otherwise(micros)).to_series()
        kinds = pl.select(pl.when(is_day).then(pl.lit("date")).otherwise(kinds)).to_series()
    return _refuse_hours_as_digits(whole, micros), kinds, f"{', '.join(forms)} since 1970" if forms else "digits"


def _from_digits(whole: pl.Series) -> pl.Series | None:
    """Numbers such as 20240131 as microseconds; None where there is none."""
    eight = whole.is_between(20_000_101, 20_991_231)
    if not eight.any():
        return None
    text = _where(eight, whole).cast(pl.String)
    return text.str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("us")).to_physical()


def _refuse_hours_as_digits(whole: pl.Series, micros: pl.Series) -> pl.Series:
    """Read no row where all could be hours as digits: 2024013115 is an hour, but as seconds a time in 2034."""
    hours = whole.is_between(2_000_010_100, 2_099_123_123)
    if not hours.all() or not len(whole):
        return micros
    text = whole.cast(pl.String)
    valid = text.str.head(8).str.to_date("%Y%m%d", strict=False).is_not_null() & (whole % 100 < 24)
    return pl.repeat(None, len(whole), dtype=pl.Int64, eager=True) if valid.all() else micros


def _from_text(times: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    text = times.str.strip_chars()
    micros, kinds = _from_iso(text)
    form = "text"
    rest = micros.is_null() & text.is_not_null()
    if not rest.any():
        return micros, kinds, form
    rows = rest.arg_true()
    left = text.gather(rows)
    rewritten = left.replace({word: _as_iso(word) for word in left.unique() if not _is_number(word)})
    more, more_kinds = _from_iso(rewritten)
    whole = left.cast(pl.Int64, strict=False)
    numbers = whole if whole.null_count() == left.null_count() else left.cast(pl.Float64, strict=False)
    counted, counted_kinds, counted_form = _from_numbers(numbers)
    if counted.count() == len(times):
        form = f"{counted_form}, as text"
    more = more.fill_null(counted)
    more_kinds = pl.select(pl.when(counted.is_not_null()).then(counted_kinds).otherwise(more_kinds)).to_series()
    return micros.scatter(rows, more), kinds.scatter(rows, more_kinds), form


def _from_iso(text: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Microseconds, null where a row is no ISO 8601 time, and each row's kind."""
    parts = text.str.extract_groups(_ISO).struct.unnest()
    zones = {zone: _offset_minutes(zone) for zone in parts["zone"].unique().drop_nulls()}
    stamp = pl.format("{}T{}{}", "day", pl.col("minute").fill_null("00:00"), pl.col("second").fill_null(":00"))
    named = pl.col("zone").is_not_null()
    frame = parts.select(
        stamp.str.replace(",", ".", literal=True)
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        .to_physical()
        .alias("local"),
        pl.col("zone").replace_strict(zones, default=0, return_dtype=pl.Int64).alias("minutes"),
        pl.when(named)
        .then(pl.lit("zoned"))
        .when(pl.col("minute").is_null())
        .then(pl.lit("date"))
        .otherwise(pl.lit("naive"))
        .alias("kind"),
    ).with_columns((pl.col("local") - pl.col("minutes") * 60 * 10**6).alias("utc"))
    inside = frame["utc"].is_between(_FIRST_DATE * 10**6, _END * 10**6, closed="left")
    # No time zone is more than 15 hours from UTC.
    sound = inside & frame["minutes"].is_between(-15 * 60, 15 * 60)
    return _where(sound, frame["utc"]), frame["kind"]


def _offset_minutes(zone: str) -> int:
    digits = zone.upper().removesuffix(" UTC").replace(":", "")
    if digits[0] not in "+-":
        return 0
    minutes = 60 * int(digits[1:3]) + int(digits[3:5] or 0)
    return -minutes if digits[0] == "-" else minutes


def _as_iso(word: str) -> str:
    """A date that names its month, or begins with its year, as ISO 8601; any other text as it is."""
    for pattern in _NAMED_MONTH:
        if (match := pattern.fullmatch(word)) and match["month"][:3].lower() in _MONTHS:
            month = _MONTHS.index(match["month"][:3].lower()) + 1
            return f"{match['year']}-{month:02}-{int(match['day']):02}{match['tail'] or ''}"
    if match := _YEAR_FIRST.fullmatch(word):
        return f"{match['year']}-{match['month']}-{match['day']}{match['tail'] or ''}"
    return word


def _check_rows(times: pl.Series, micros: pl.Series, file: str) -> None:
    unusable = micros.is_null()
    if not unusable.any():
        return
    index = unusable.arg_max() or 0
    row = index + 1
    # A date beyond the calendar has no Python value that could be shown.
    shown = times[index] if times.dtype == pl.String or times.dtype.is_numeric() else _shown_date(times[index:row])
    if shown is None or (isinstance(shown, str) and not shown.strip()):
        problem = f"no date in row {row}: write 2021-03-04 or 2021-03-04T00:00:00Z"
    elif isinstance(shown, str) and _UNCLEAR.fullmatch(shown.strip()):
        problem = f"{quoted(shown)}, whose day and month cannot be told apart, in row {row}: write 2021-03-04"
    else:
        problem = f"{quoted(shown)}, not a date, in row {row}: write 2021-03-04 or 2021-03-04T00:00:00Z"
        if not isinstance(shown, str) or _is_number(shown):
            problem += " (numbers count from 1970 and lie between 2000 and 2100)"
    raise DataError(f"{file}: column {quoted(times.name)} holds {problem}")


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").replace(".", "", 1).isdigit()


def _shown_date(one: pl.Series) -> str | None:
    year = one.dt.year()[0]
    return one.dt.to_string("%Y-%m-%d")[0] if year is not None and 0 < year < 10_000 else None


def _check_kinds(times: pl.Series, kinds: pl.Series, file: str) -> None:
    """Refuse a column in which only some rows name a zone. Rows of different zones are well defined."""
    zoned = kinds == "zoned"
    if zoned.any() and not zoned.all():
        row = int((zoned != zoned[0]).arg_max() or 0)
        raise DataError(
            f"{file}: column {quoted(times.name)} mixes time zones, {quoted(times[0])} and, in row {row + 1}, "
            f"{quoted(times[row])}: write all in UTC"
        )
