"""Reading one user's file: its columns are named and accounted for, times converted to UTC, and numbers parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from cortex.domains.markets.account import Column, quoted, shortened
from cortex.domains.markets.checks import OHLC
from cortex.domains.markets.columns import FILE, ROW
from cortex.domains.markets.csv_file import CsvFile, plain_name, read_csv
from cortex.domains.markets.numbers import read_numbers, shows_decimal_point
from cortex.domains.markets.timestamps import Times, read_times
from cortex.errors import DataError

KINDS = (".parquet", ".csv", ".csv.gz")

UNNAMED = "unnamed"
"""Name of a column without one, as an exported index has."""

_SYMBOL_NAMES = frozenset(("symbol", "ticker", "asset", "coin"))
_OPEN_NAMES = frozenset(("opentime", "timeopen"))
_MOMENT_NAMES = frozenset(("date", "day", "time", "timestamp", "datetime", "blockdate", "blocktimestamp"))
_COUNT_NAMES = frozenset(("unix", "unixtime", "unixtimestamp", "epoch"))
_CLOSE_NAMES = frozenset(("closetime", "timeclose"))
TIME_NAMES = (_OPEN_NAMES, _MOMENT_NAMES, _COUNT_NAMES, _CLOSE_NAMES)
"""In order of preference: a bar belongs to the day in which it opens, so opening times come first."""


@dataclass(frozen=True)
class TableFile:
    """A file's rows in the order of the file, not yet checked."""

    name: str
    zoned: bool | None
    """True where the times name a time zone; None for plain dates."""
    stamp: Literal["open", "close"] | None
    """The moment of a bar that its time is of, where the column's name says so."""
    rows: pl.DataFrame
    """symbol, time (UTC), prices, metrics, and the origin of each row."""
    prices: list[str]
    """The four prices, or none."""
    metrics: list[str]
    """The numeric columns other than prices."""
    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    @property
    def names_symbols(self) -> bool:
        """True where a column says which asset a row is of; else the file's name does."""
        return any(column.role == "symbol" for column in self.columns)


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, and what is known of all of its rows."""

    cells: pl.DataFrame
    """The rows' cells, as the file has them."""
    rows: pl.Series
    """The number of each row in the file, from 0."""
    roles: Mapping[str, Column]
    """The role of each column that is no time, symbol or price: a metric, of a numeric type, or left out."""


def kind_of(file: Path) -> str | None:
    """The supported file type, by the name's ending; None for all others."""
    return next((kind for kind in KINDS if file.name.lower().endswith(kind)), None)


def read_cells(file: Path) -> pl.DataFrame:
    """The cells of a file as it has them. Raises DataError where it cannot be read."""
    return _read(file).cells


def read_table(file: Path, symbol: str, number: int = 0, piece: Piece | None = None) -> TableFile:
    """Read a file of OHLC prices, of on-chain metrics, or of both; or a piece of it.

    Column names count without regard to case; symbol and date go by their usual other names too. Without a symbol
    column all rows are of `symbol`. Raises DataError for whatever cannot be read, naming the file and the row.
    """
    read = CsvFile(piece.cells, ()) if piece else _read(file)
    frame = read.cells
    if frame.is_empty():
        raise DataError(f"{file}: has no rows: give a file with daily bars")
    names = known_names(frame.columns, file.name)
    by_name = {name: column for column, name in names.items()}
    time, times, same, stamp = _read_clock(frame, by_name, file.name)
    # In a CSV file everything is text: only in a typed file does a text column say something about its numbers.
    typed = kind_of(file) == ".parquet"
    form = times.form if typed else times.form.removesuffix(", as text")
    roles = {time: Column(time, "time", form, file.name)}
    roles |= {column: Column(column, "left out", f"the same times as {time}", file.name) for column in same}
    symbols = pl.repeat(symbol, len(frame), dtype=pl.String, eager=True)
    if "symbol" in by_name:
        symbols = read_symbols(frame[by_name["symbol"]], file.name)
        roles[by_name["symbol"]] = Column(by_name["symbol"], "symbol", "named so", file.name)
    prices = [price for price in OHLC if price in by_name]
    others = [column for column in frame.columns if column not in roles and names[column] not in prices]
    comma_groups = any(shows_decimal_point(frame[column]) for column in frame.columns if column not in roles)
    values: list[pl.Series] = []
    for price in prices:
        raw = frame[by_name[price]]
        numbers = read_numbers(raw, comma_groups=comma_groups)
        if numbers is None:
            raise DataError(f"{file.name}: column {quoted(raw.name)} holds {_type_name(raw)}, not numbers: convert it")
        values.append(numbers.required(file.name).alias(price))
        roles[raw.name] = Column(raw.name, "price", price, file.name)
    metrics: list[str] = []
    for column in others:
        found, why = _metric_of(piece, frame[column]) if piece else read_metric(frame[column], comma_groups, file.name)
        why = why if typed else why.removesuffix(", as text")
        roles[column] = Column(column, "left out" if found is None else "metric", why, file.name)
        if found is not None:
            metrics.append(names[column])
            values.append(found.alias(names[column]))
    rows = pl.DataFrame(
        [
            symbols.alias("symbol"),
            times.utc.alias("time"),
            *values,
            pl.repeat(number, len(frame), dtype=pl.UInt32, eager=True).alias(FILE),
            piece.rows.alias(ROW) if piece else pl.int_range(len(frame), dtype=pl.UInt32, eager=True).alias(ROW),
        ]
    )
    columns = tuple(roles[column] for column in frame.columns)
    return TableFile(file.name, times.zoned, stamp, rows, prices, metrics, columns, read.notes)


def column_name(column: str) -> str:
    """The name under which a column is known: lower case, without the brackets and blanks of its source.

    Names of the kit's own columns get a trailing underscore: a second `time` beside a `date` must not take the place of
    the first. Leading underscores are removed, since the kit's intermediate columns begin with one.
    """
    name = column.strip().strip("<>\ufeff").strip().lower().replace(" ", "_").replace("-", "_").lstrip("_")
    return f"{name}_" if name in ("symbol", "time", "date") else name or UNNAMED


def _read(file: Path) -> CsvFile:
    kind = kind_of(file) or ""
    try:
        if kind == ".parquet":
            return CsvFile(pl.read_parquet(file, glob=False), ())
        return read_csv(file, frozenset().union(*TIME_NAMES))
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{file}: cannot be read as {kind[1:]}: {reason}: write the file again") from error


def known_names(columns: Sequence[str], file: str) -> dict[str, str]:
    """Each column's name in lower case, `symbol` among them, and all or none of the four prices."""
    names = {column: "symbol" if plain_name(column) in _SYMBOL_NAMES else column_name(column) for column in columns}
    for name in names.values():
        _refuse_twins([column for column, other in names.items() if other == name], name, file)
    found = set(names.values())
    missing = [price for price in OHLC if price not in found]
    timed = any(plain_name(column) in ranked for ranked in TIME_NAMES for column in columns)
    missing = ([] if timed else ["date"]) + (missing if len(missing) < len(OHLC) else [])
    if missing:
        raise DataError(f"{file}: lacks {', '.join(missing)}; found {shortened(columns, 20)}: add or rename columns")
    return names


def _refuse_twins(same: list[str], name: str, file: str) -> None:
    if len(same) > 1:
        raise DataError(f"{file}: columns {' and '.join(map(quoted, same))} both serve as {name}: keep one")


def _read_clock(
    frame: pl.DataFrame, by_name: dict[str, str], file: str
) -> tuple[str, Times, list[str], Literal["open", "close"] | None]:
    """The column that dates the rows, its times, further columns with the same times, and the moment by its name.

    The time at which a bar opened is preferred. Where only its close is known, the bar belongs to the day before that
    instant: one that closes at midnight is of the day that ends there, and is not known a day earlier.
    """
    refusal: DataError | None = None
    for ranked in TIME_NAMES:
        readable: dict[str, Times] = {}
        for column in by_name.values():
            if plain_name(column) in ranked:
                try:
                    readable[column] = read_times(frame[column], file)
                except DataError as error:
                    refusal = refusal or error
        if not readable:
            continue
        # Times of day are preferred to plain dates: they say more.
        column = next((column for column, times in readable.items() if times.zoned is not None), next(iter(readable)))
        times = readable.pop(column)
        for other, other_times in readable.items():
            _check_same_times(frame, (column, times), (other, other_times), file)
        if ranked is _CLOSE_NAMES:
            times = Times(times.utc.dt.offset_by("-1us"), times.zoned, f"{times.form}, when a bar closes")
        stamp = "open" if ranked is _OPEN_NAMES else "close" if ranked is _CLOSE_NAMES else None
        return column, times, list(readable), stamp
    assert refusal is not None, "a time column was found by its name"
    raise refusal


def _check_same_times(frame: pl.DataFrame, one: tuple[str, Times], other: tuple[str, Times], file: str) -> None:
    """Refuse two time columns that disagree in a row: nobody can tell which is right. Plain dates compare by day."""
    (column, times), (other_column, other_times) = one, other
    wrong = other_times.utc != (times.utc.dt.truncate("1d") if other_times.zoned is None else times.utc)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        shown = [f"{quoted(name)} {quoted(str(frame[name][row]))}" for name in (column, other_column)]
        raise DataError(f"{file}: {' and '.join(shown)} are different times, in row {row + 1}: keep one of the columns")


def read_symbols(raw: pl.Series, file: str) -> pl.Series:
    if raw.dtype.is_nested() or raw.dtype == pl.Binary:
        raise DataError(f"{file}: column {quoted(raw.name)} holds {_type_name(raw)}, not symbols: write them as text")
    return raw.cast(pl.String).str.strip_chars()


def read_metric(raw: pl.Series, comma_groups: bool, file: str) -> tuple[pl.Series | None, str]:
    """A column's numbers and their notation; None for a column of anything else, and the reason.

    A column is numeric if at least half of its values are numbers; any other value is then refused, with its row. So
    the order of the rows does not decide what a column is.
    """
    numbers = read_numbers(raw, comma_groups=comma_groups)
    if numbers is None:
        return None, f"holds {_type_name(raw)}, not numbers"
    if not numbers.given:
        return None, "no values"
    if numbers.readable * 2 < numbers.given and not _all_unclear(numbers.reasons, numbers.given):
        row = min(numbers.reasons)
        return None, f"text, such as {quoted(raw.cast(pl.String)[row])}"
    return numbers.checked(file).fill_nan(None), "numbers" if raw.dtype != pl.String else "numbers, as text"


def _metric_of(piece: Piece, raw: pl.Series) -> tuple[pl.Series | None, str]:
    """A column's numbers as `read_metric` reads them, where its role is known from the whole file."""
    role = piece.roles[raw.name]
    return (raw.cast(pl.Float64).fill_nan(None) if role.role == "metric" else None), role.why


def _all_unclear(reasons: dict[int, str], given: int) -> bool:
    """True where most values are numbers with an ambiguous comma: the column is a metric to be refused, not text."""
    return sum("comma" in reason for reason in reasons.values()) * 2 >= given


def _type_name(raw: pl.Series) -> str:
    if raw.dtype == pl.Boolean:
        return "true and false"
    return "dates" if raw.dtype.is_temporal() else str(raw.dtype)[:40]
