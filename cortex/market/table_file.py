"""One user's file read into daily rows: its columns named, its times in UTC, its rows checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cortex.errors import DataError
from cortex.market.checks import OHLC, check_metrics, check_order, check_prices
from cortex.market.timestamps import utc_times

READERS = {
    ".parquet": pl.read_parquet,
    ".csv": lambda file: pl.read_csv(file, infer_schema_length=None),
}

_SYMBOL_NAMES = ("symbol", "ticker", "asset", "coin")
_TIME_NAMES = ("date", "day", "time", "timestamp", "datetime", "open_time", "block_date", "block_timestamp")
_ALIASES: dict[str, str] = {**dict.fromkeys(_SYMBOL_NAMES, "symbol"), **dict.fromkeys(_TIME_NAMES, "time")}


@dataclass(frozen=True)
class TableFile:
    """A file's daily rows, sorted by symbol and date."""

    name: str
    zoned: bool | None
    """Whether its times name a time zone; None where it has plain dates."""
    prices: pl.DataFrame | None
    """symbol, date, open, high, low, close; None where the file has no prices."""
    onchain: pl.DataFrame | None
    """symbol, date and its other numeric columns; None where it has none."""


def read_table(file: Path) -> TableFile:
    """Read a `.parquet` or `.csv` file of OHLC prices, of on-chain metrics, or of both.

    Column names count without regard to case; symbol and date go by their usual other names too. Without a symbol
    column the file's stem, in capitals, is the symbol. Bars shorter than a day become UTC days: the first open, the
    highest high, the lowest low, the last close, and the mean of every metric; a day with less than half of the
    symbol's usual number of bars is left out. Raises DataError for whatever cannot be read or trusted, naming the file
    and the row.
    """
    raw = _read(file)
    names = _known_names(raw.columns, file.name)
    times, zoned = utc_times(raw[next(column for column, name in names.items() if name == "time")], file.name)
    frame = raw.rename(names)
    symbol = (
        pl.col("symbol").cast(pl.String) if "symbol" in frame.columns else pl.lit(file.stem.upper()).alias("symbol")
    )
    prices = [column for column in OHLC if column in frame.columns]
    metrics = _metrics(frame, file.name)
    for column in prices:
        if not frame.schema[column].is_numeric():
            raise DataError(_not_numbers(frame[column], file.name))
    rows = frame.with_columns(times.alias("time")).select(
        symbol, "time", pl.col(prices).cast(pl.Float64), pl.col(metrics).cast(pl.Float64).fill_nan(None)
    )
    check_order(rows, file.name)
    if prices:
        check_prices(rows, file.name)
    check_metrics(rows, metrics, file.name)
    daily = _daily(rows, prices, metrics, file.name)
    return TableFile(
        name=file.name,
        zoned=zoned,
        prices=daily.select("symbol", "date", *prices) if prices else None,
        onchain=daily.select("symbol", "date", *metrics) if metrics else None,
    )


def _read(file: Path) -> pl.DataFrame:
    try:
        frame = READERS[file.suffix.lower()](file)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{file}: cannot be read as {file.suffix[1:].lower()}: {reason}: write the file again"
        ) from error
    if frame.is_empty():
        raise DataError(f"{file}: has no rows: give a file with daily bars")
    return frame


def _known_names(columns: Sequence[str], file: str) -> dict[str, str]:
    """Each column's name in lower case, `symbol` and `time` among them, and all or none of the four prices."""
    plain = {column: column.strip().lower().replace(" ", "_").replace("-", "_") for column in columns}
    names = {column: _ALIASES.get(name, name) for column, name in plain.items()}
    for name in names.values():
        same = [column for column, other in names.items() if other == name]
        if len(same) > 1:
            raise DataError(f"{file}: columns {' and '.join(map(repr, same))} both serve as {name}: keep one")
    found = set(names.values())
    missing = [price for price in OHLC if price not in found]
    missing = ([] if "time" in found else ["date"]) + (missing if len(missing) < len(OHLC) else [])
    if missing:
        raise DataError(f"{file}: lacks {', '.join(missing)}; found {', '.join(columns)}: add or rename columns")
    return names


def _metrics(frame: pl.DataFrame, file: str) -> list[str]:
    """The numeric columns other than prices. Text is left aside, unless it is numbers with something amiss."""
    others = [column for column in frame.columns if column not in ("symbol", "time", *OHLC)]
    for column in others:
        values = frame[column].drop_nulls()
        if (
            values.dtype == pl.String
            and len(values)
            and values.head(1).cast(pl.Float64, strict=False).null_count() == 0
        ):
            raise DataError(_not_numbers(frame[column], file))
    return [column for column in others if frame.schema[column].is_numeric()]


def _not_numbers(values: pl.Series, file: str) -> str:
    if values.dtype != pl.String:
        return f"{file}: column {values.name!r} holds {values.dtype}, not numbers: convert it"
    row = (values.is_not_null() & values.cast(pl.Float64, strict=False).is_null()).arg_max() or 0
    return f"{file}: column {values.name!r} holds {values[row]!r} in row {row + 1}, not a number: correct it"


def _daily(rows: pl.DataFrame, prices: list[str], metrics: list[str], file: str) -> pl.DataFrame:
    dated = rows.with_columns(pl.col("time").dt.date().alias("date"))
    if not dated.select(pl.struct("symbol", "date").is_duplicated().any()).item():
        _check_stamps(rows, file)
        return dated.sort("symbol", "date")
    how = {"open": pl.col("open").first(), "high": pl.col("high").max()}
    how |= {"low": pl.col("low").min(), "close": pl.col("close").last()}
    days = dated.group_by("symbol", "date").agg(
        *(how[price] for price in prices), pl.col(metrics).mean(), pl.len().alias("_bars")
    )
    return days.filter(pl.col("_bars") * 2 >= pl.col("_bars").median().over("symbol")).sort("symbol", "date")


def _check_stamps(rows: pl.DataFrame, file: str) -> None:
    """Refuse daily bars that are cut at another hour: read as UTC days, they would end later than they say."""
    minute = rows.select(pl.col("time").dt.hour().cast(pl.Int32) * 60 + pl.col("time").dt.minute()).to_series()
    off = (minute != 0) & (minute != 24 * 60 - 1)
    if off.any():
        row = off.arg_max() or 0
        stamp = rows["time"][row].strftime("%Y-%m-%d %H:%M")
        raise DataError(
            f"{file}: row {row + 1} is a daily bar of {stamp} UTC: give bars of UTC days, stamped 00:00, or plain dates"
        )
