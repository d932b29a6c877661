"""Parsing of numbers, the same for prices and metrics, in all the notations that files use."""

import re
from dataclasses import dataclass

import polars as pl

from cortex.domains.markets.account import quoted
from cortex.errors import DataError

_WORDS = "na n/a n.a. #n/a <na> nan null (null) none nil missing unknown undefined #value! #div/0! #ref! #num!"
MISSING = frozenset((*_WORDS.split(), "", "-", "--", "---", "–", "—", ".", "?", r"\n"))
"""Words for a missing value in spreadsheets, databases and scripts; compared in lower case."""

_MARKS = "$€£¥₩₹₿Ξ"
_SIGNS = "-+−"  # the hyphen first: between two others it would mean a range
_NUMBER = re.compile(
    rf"(?P<sign>[{_SIGNS}]?)(?P<mark>[{_MARKS}]?) ?(?P<inner>[{_SIGNS}]?)"
    r"(?P<whole>[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]*)(?P<fraction>\.[0-9]*)?(?P<power>[eE][+-]?[0-9]+)?"
    rf" ?(?P<end>[%KMBTk{_MARKS}]?)"
)
_DECIMAL_COMMA = re.compile(rf"[{_SIGNS}{_MARKS} ]*(?:[0-9]{{1,3}}(?:\.[0-9]{{3}})+|[0-9]+),[0-9]+[ %{_MARKS}]*")
_DECIMAL_POINT = (
    r"^[^0-9A-Za-z,.]*(?:[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})|0?\.[0-9]+|[0-9]{4,}\.[0-9]+)[^0-9A-Za-z,.]*$"
    r"|[0-9],[0-9]{3}[.,]"
)
"""Text that shows how its file writes numbers: with a decimal point, or with commas that group thousands."""

_SCALES = {"%": 0.01, "K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers."""

    raw: pl.Series
    values: pl.Series
    """Float64: null where the file has no value, and where `reasons` has one."""
    reasons: dict[int, str]
    """Reasons why values are no numbers, by row, from 0."""
    given: int
    """Number of rows with a value, be it a number or not."""

    @property
    def readable(self) -> int:
        """Number of rows that hold a number."""
        return self.given - len(self.reasons)

    def checked(self, file: str) -> pl.Series:
        """The values. Raises DataError, naming the first row whose value is no number."""
        if self.reasons:
            row = min(self.reasons)
            more = f" ({len(self.reasons) - 1:,} more rows are like it)" if len(self.reasons) > 1 else ""
            held = f"column {quoted(self.raw.name)} holds {quoted(self.raw[row])} in row {row + 1}"
            raise DataError(f"{file}: {held}, {self.reasons[row]}{more}")
        return self.values

    def required(self, file: str) -> pl.Series:
        """The values, with words for a missing value refused, too. Raises DataError, naming the row and its text."""
        if self.raw.dtype == pl.String:
            word = self.values.is_null() & (self.raw.str.strip_chars().fill_null("") != "")
            missing = {int(row): "not a number: correct it" for row in word.arg_true()}
            return Numbers(self.raw, self.values, missing | self.reasons, self.given).checked(file)
        return self.checked(file)


def read_numbers(raw: pl.Series, *, comma_groups: bool = False) -> Numbers | None:
    """A column as numbers; None where its type holds none: flags, times, lists, bytes.

    Text may have signs, thousands separators, a currency's mark, `%`, an exponent, and K, M, B or T for a thousand and
    so on. `comma_groups`: the file has shown elsewhere that its commas group thousands; without that, `1,200` may as
    well be 1.2, and is refused.
    """
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype == pl.Null or raw.dtype.is_numeric():
        values = raw.cast(pl.Float64)
        return Numbers(raw, values, {}, int(values.fill_nan(None).count()))
    return _read_text(raw, comma_groups) if raw.dtype == pl.String else None


def shows_decimal_point(raw: pl.Series) -> bool:
    """True where a text column proves that its file writes decimals with a point, so that commas group thousands."""
    return raw.dtype == pl.String and bool(raw.str.strip_chars().str.contains(_DECIMAL_POINT).any())


def _read_text(raw: pl.Series, comma_groups: bool) -> Numbers:
    text = raw.str.strip_chars()
    values = text.cast(pl.Float64, strict=False)
    odd = values.is_null() & text.is_not_null() & (text != "")
    rows = odd.arg_true()
    if not len(rows):
        return Numbers(raw, values, {}, int(values.fill_nan(None).count()))
    words = text.gather(rows)
    comma_groups = comma_groups or shows_decimal_point(words)
    read = {word: _read_word(word, comma_groups) for word in words.unique()}
    percent = _mixed_units(text, values, read)
    found: list[float | None] = []
    reasons: dict[int, str] = dict(percent)
    missing = 0
    for row, word in zip(rows, words, strict=True):
        number = read[word]
        found.append(number.value)
        missing += number.missing
        if number.reason and row not in reasons:
            reasons[row] = number.reason
    values = values.scatter(rows, pl.Series(found, dtype=pl.Float64))
    given = int(values.fill_nan(None).count()) + sum(values[row] is None for row in reasons)
    return Numbers(raw, values, reasons, given)


@dataclass(frozen=True)
class _Word:
    """One text that is no plain number."""

    value: float | None = None
    reason: str = ""
    unit: str = ""
    missing: bool = False


def _read_word(word: str, comma_groups: bool) -> _Word:
    if word.lower() in MISSING or word.lower().startswith("#n/a "):  # "#N/A N/A", "#N/A Field Not Applicable"
        return _Word(missing=True)
    match = _NUMBER.fullmatch(word)
    digits = match and match["whole"] + (match["fraction"] or "")
    if match is None or not digits or digits == "." or (match["sign"] and match["inner"]):
        if _DECIMAL_COMMA.fullmatch(word):
            return _Word(reason="a decimal comma: write it with a point")
        return _Word(reason="not a number: correct it")
    whole = match["whole"]
    if whole.count(",") == 1 and not match["fraction"] and not comma_groups:
        plain = whole.replace(",", "")
        return _Word(reason=f"which may be {plain} or {whole.replace(',', '.')}: write it without a comma")
    negative = (match["sign"] or match["inner"]) in ("-", "−")
    number = float(digits.replace(",", "") + (match["power"] or "")) * _SCALES.get(match["end"], 1.0)
    unit = match["end"] if match["end"] == "%" else match["mark"] or (match["end"] if match["end"] in _MARKS else "")
    return _Word(-number if negative else number, unit=unit)


def _mixed_units(text: pl.Series, values: pl.Series, read: dict[str, _Word]) -> dict[int, str]:
    """The rows whose unit differs from the others': percent among plain numbers, or two currencies. Reading all of them
    alike would give wrong numbers."""
    units = {word: number.unit for word, number in read.items() if number.unit}
    if not units:
        return {}
    plain = values.is_finite().fill_null(False) | text.is_in(
        [word for word, number in read.items() if number.value is not None and not number.unit]
    ).fill_null(False)
    by_row = text.replace_strict(units, default=None, return_dtype=pl.String)
    counts = dict(by_row.drop_nulls().value_counts(sort=True).iter_rows())
    if "%" in counts and plain.any():
        counts["plain"] = int(plain.sum())
        by_row = by_row.to_frame("unit").select(pl.when(plain).then(pl.lit("plain")).otherwise("unit")).to_series()
    usual = max(counts, key=lambda unit: counts[unit])
    others = (by_row.is_not_null() & (by_row != usual)).arg_true()
    told = "a plain number" if usual == "plain" else f"in {usual}"
    return {int(row): f"where most values are {told}: write all in one unit" for row in others}
