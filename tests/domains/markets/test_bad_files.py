"""Every way in which a user's file can be unfit, and the line of each error."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.errors import DataError

from .tables import bars, dated, metric

GOOD = dated(bars([1, 2, 3, 4, 5])).with_columns(pl.col("high") * 1.1, pl.col("low") * 0.9)


def _refused(*paths: Path, **chosen: object) -> str:
    with pytest.raises(DataError) as error:
        FilesSource(FilesConfig.model_validate({"paths": paths, **chosen})).load()
    message = str(error.value)
    assert error.value.exit_code == 65
    assert "\n" not in message and len(message) < 400
    return message


def _with(column: str, row: int, value: object, name: str | None = None) -> pl.DataFrame:
    """`GOOD` with one value replaced."""
    values = GOOD[column].to_list()
    values[row] = value
    return GOOD.with_columns(pl.Series(name or column, values, strict=False))


def _text_dates(*dates: str) -> pl.DataFrame:
    return GOOD.with_columns(pl.Series("date", dates))


DAYS = [f"2021-01-0{day}" for day in range(1, 6)]

TABLES: dict[str, tuple[pl.DataFrame, str]] = {
    "no date column": (GOOD.drop("date"), "lacks date; found symbol, open, high, low, close"),
    "one price missing": (GOOD.drop("low"), "lacks low; found symbol, date, open, high, close"),
    "no prices": (
        GOOD.select("symbol", "date", fees=1.0),
        "lacks open, high, low, close: give a file with daily prices",
    ),
    "two clocks that disagree": (
        GOOD.with_columns(timestamp=pl.col("date").shift(-1).fill_null(pl.col("date"))),
        "'date' '2021-01-01' and 'timestamp' '2021-01-02' are different times, in row 1: keep one of the columns",
    ),
    "two clocks that disagree later": (
        GOOD.with_columns(timestamp=pl.Series([f"2021-01-0{day} 05:00" for day in (1, 2, 3, 5, 5)])),
        "'timestamp' '2021-01-05 05:00' and 'date' '2021-01-04' are different times, in row 4: keep one of the columns",
    ),
    "two spellings": (GOOD.with_columns(Close="close"), "'close' and 'Close' both serve as close"),
    "no rows": (GOOD.clear(), "has no rows"),
    "NaN price": (_with("close", 2, float("nan")), "row 3 has close NaN for NEAR"),
    "no price": (_with("open", 1, None), "row 2 has open nothing for NEAR"),
    "infinite price": (_with("high", 4, float("inf")), "row 5 has high inf for NEAR"),
    "negative price": (_with("low", 0, -1.0), "row 1 has low -1.0 for NEAR: prices are positive"),
    "zero price": (_with("close", 3, 0.0), "row 4 has close 0.0"),
    "price as text": (_with("close", 3, "n/a"), "'close' holds 'n/a' in row 4, not a number"),
    "high below close": (_with("high", 2, 2.9), "row 3 of NEAR contradicts itself, open 3.0 high 2.9"),
    "low above open": (_with("low", 2, 3.05), "row 3 of NEAR contradicts itself"),
    "unsorted": (GOOD[[0, 1, 3, 2, 4]], "row 4 is out of order, NEAR 2021-01-03 00:00 after 2021-01-04 00:00: sort"),
    "newest first but for one": (
        GOOD.reverse()[[0, 1, 3, 2, 4]],
        r"row 2 is out of order.*\(2 more rows are like it\)",
    ),
    "newest first, a day twice": (GOOD.reverse()[[0, 1, 1, 2, 3]], r"row 2 is out of order.*more rows are like it"),
    "duplicate": (GOOD[[0, 1, 1, 2, 3]], "row 3 repeats NEAR 2021-01-02 00:00: drop duplicate rows"),
    "no symbol": (_with("symbol", 2, None), "row 3 has no symbol"),
    "no date": (_with("date", 2, None), "'date' holds no date in row 3"),
    "time zone mix": (
        _text_dates("2021-01-01T00:00Z", "2021-01-02T00:00Z", "2021-01-03T00:00+02:00", *DAYS[3:]),
        "mixes time zones, '2021-01-01T00:00Z' and, in row 4, '2021-01-04': write all in UTC",
    ),
    "some with a zone": (
        _text_dates("2021-01-01 00:00", "2021-01-02 00:00+00:00", *DAYS[2:]),
        "mixes time zones, '2021-01-01 00:00' and, in row 2",
    ),
    "day or month first": (
        _text_dates("2021-01-01", "01/02/2021", *DAYS[2:]),
        "'date' holds '01/02/2021', whose day and month cannot be told apart, in row 2: write 2021-03-04",
    ),
    "days of two zones": (
        _text_dates(*(f"{day}T00:00Z" for day in DAYS[:4]), "2021-01-05T00:00+02:00"),
        "daily bars of NEAR share the UTC day 2021-01-04, 2021-01-04 00:00 and 2021-01-04 22:00: give one",
    ),
    "a day of 1970": (
        _text_dates(*DAYS[:2], "1970-01-01", *DAYS[3:]),
        "'date' holds '1970-01-01', not a date, in row 3",
    ),
    "midnight as 24:00": (_text_dates(*(f"{day} 24:00" for day in DAYS)), "'2021-01-01 24:00', not a date, in row 1"),
    "leap second": (_text_dates("2021-01-01 00:00:60", *DAYS[1:]), "'2021-01-01 00:00:60', not a date, in row 1"),
    "year 10000": (_text_dates(*DAYS[:4], "10000-01-01"), "'10000-01-01', not a date, in row 5"),
    "no such day": (_text_dates(*DAYS[:4], "2021-02-30"), "'date' holds '2021-02-30', not a date, in row 5"),
    "no such day as a number": (
        _with("date", 0, None).with_columns(date=pl.Series([20210101, 20210102, 20210103, 20210104, 20210230])),
        "'date' holds '?20210230'?, not a date, in row 5",
    ),
    "hours as numbers": (
        GOOD.with_columns(date=pl.Series([2021010100 + hour for hour in range(5)])),
        "'date' holds '?2021010100'?, not a date, in row 1",
    ),
    "a count of 1970": (
        GOOD.with_columns(date=pl.Series([1609459200, 1609545600, 86400, 1609718400, 1609804800])),
        "'date' holds '?86400'?, not a date, in row 3: .* between 2000 and 2100",
    ),
    "a negative count": (
        GOOD.with_columns(date=pl.lit(-1609459200)),
        "'date' holds '?-1609459200'?, not a date, in row 1",
    ),
    "dates as fractions": (GOOD.with_columns(date=pl.lit(1.5)), "'date' holds '?1.5'?, not a date, in row 1"),
    "flags for dates": (GOOD.with_columns(date=pl.lit(True)), "'date' holds (Boolean, not dates|'true', not a date)"),
    "days of another zone": (
        GOOD.with_columns(date=pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Tokyo")),
        "row 1 is a daily bar of 2020-12-31 15:00 UTC: give bars of UTC days",
    ),
    "infinite metric": (_with("close", 2, float("inf"), "fees"), "row 3 has an infinite fees"),
    "metric as text": (
        GOOD.with_columns(fees=pl.Series(["1", "2", "x", "4", "5"])),
        "'fees' holds 'x' in row 3, not a",
    ),
    "first of a metric": (
        GOOD.with_columns(fees=pl.Series(["x", "2", "3", "4", "5"])),
        "'fees' holds 'x' in row 1, not a",
    ),
    "infinite text": (
        GOOD.with_columns(fees=pl.Series(["1", "2", "3", "Infinity", "5"])),
        "row 4 has an infinite fees",
    ),
    "decimal comma": (
        GOOD.with_columns(fees=pl.Series(["1,5", "2,25", "3", "4", "5"])),
        "'1,5' in row 1, a decimal comma",
    ),
    "unclear comma": (
        GOOD.select(
            "symbol", "date", *(pl.lit("7").alias(price) for price in ("open", "high", "low", "close"))
        ).with_columns(fees=pl.Series(["900", "1,200", "1,300", "4", "5"])),
        r"'fees' holds '1,200' in row 2, which may be 1200 or 1.200: write it without a comma \(1 more rows",
    ),
    "percent among numbers": (
        GOOD.with_columns(fees=pl.Series(["1%", "2%", "3", "4%", "5%"])),
        "'fees' holds '3' in row 3, where most values are in %: write all in one unit",
    ),
    "two currencies": (
        GOOD.with_columns(fees=pl.Series(["$1", "$2", "€3", "$4", "$5"])),
        "'fees' holds '€3' in row 3, where most values are in",
    ),
    "numbers under no name": (
        GOOD.with_columns(pl.Series("", [3.0, 1.0, 4.0, 1.0, 5.0])),
        "a column of numbers has no name",
    ),
}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize(("table", "message"), TABLES.values(), ids=TABLES)
def test_an_unfit_table_is_refused(tmp_path: Path, table: pl.DataFrame, message: str, kind: str):
    file = tmp_path / f"prices.{kind}"
    getattr(table, f"write_{kind}")(file)
    found = _refused(file)
    assert re.search(message, found), found
    assert file.name in found


def _truncated(file: Path) -> None:
    GOOD.write_parquet(file)
    file.write_bytes(file.read_bytes()[:-20])


FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "short row": ("a.csv", lambda file: file.write_text("date,close\n2021-01-01,1\n2021-01-02\n")),
    "a file cut off": ("a.csv", lambda file: file.write_text("date,close,fees\n2021-01-01,1,2\n2021-01-02,1")),
    "short row, quoted": ("a.csv", lambda file: file.write_text('date,"close"\n2021-01-01,"1"\n"2021-01-02"\n')),
    "text after a quote": ("a.csv", lambda file: file.write_text('date,close\n"2021-01-01"x,1\n')),
    "empty csv": ("a.csv", lambda file: file.write_text("")),
    "ragged csv": ("a.csv", lambda file: file.write_text("date,close\n2021-01-01,1,2\n")),
    "open quote": ("a.csv", lambda file: file.write_text('date,close\n"2021-01-01,1\n')),
    "empty parquet": ("a.parquet", lambda file: file.write_bytes(b"")),
    "truncated parquet": ("a.parquet", _truncated),
    "csv named parquet": ("a.parquet", GOOD.write_csv),
}


@pytest.mark.parametrize(("name", "write"), FILES.values(), ids=FILES)
def test_a_malformed_file_is_refused(tmp_path: Path, name: str, write: Callable[[Path], object]):
    write(tmp_path / name)
    assert f"{name}: cannot be read as {name[2:]}" in _refused(tmp_path / name)


def test_a_date_beyond_the_calendar_is_refused(tmp_path: Path):
    GOOD.with_columns(date=pl.lit(10**9, pl.Int32).cast(pl.Date)).write_parquet(tmp_path / "a.parquet")
    assert "a.parquet: column 'date' holds no date in row 1" in _refused(tmp_path)


def test_parquet_named_csv_is_refused(tmp_path: Path):
    GOOD.write_parquet(tmp_path / "a.csv")
    assert "a.csv" in _refused(tmp_path / "a.csv")


DAMAGED: dict[str, tuple[bytes, str]] = {
    "header alone": (b"date,open,high,low,close\n", "has no rows"),
    "header without its line's end": (b"date,open,high,low,close", "has no rows"),
    "blank lines": (b"\n\n  \n", "it is empty"),
    "no header": (
        b"1609459200000,1,2,3,4\n1609545600000,1,2,3,4\n",
        "line 1 holds values where the column names should be",
    ),
    "a name twice": (b"date,fees,fees\n2021-01-01,1,2\n", "column 'fees' stands twice in line 1: keep one"),
    "a NUL byte": (b"date,close\n2021-01-01,1\n2021-01-02,\x00\n", "line 3 holds a NUL byte"),
    "another encoding": (b"date,venue\n2021-01-01,caf\xe9\n", "line 2 is not UTF-8 text: save the file as UTF-8"),
    "a spreadsheet": (b"PK\x03\x04 and so on", "it is a zip archive or a spreadsheet"),
    "a torn gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", "cannot be read as gzip"),
    "text after a closed quote": (b'date\tdate\n"0\t"0', "line 2: ' ' expected after '\"': close its quotes"),
    "comments alone": (b"# a\n# b\n", "has no line of column names"),
}


@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_csv_is_refused_with_its_line_and_cause(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "a.csv").write_bytes(data)
    found = _refused(tmp_path / "a.csv")
    assert "a.csv" in found and message in found and found.isprintable(), found


ODD_COLUMNS: dict[str, pl.Series] = {
    "lists": pl.Series("odd", [[1.0], [2.0], [3.0], [4.0], [5.0]]),
    "structs": pl.Series("odd", [{"a": 1}] * 5),
    "durations": pl.Series("odd", [dt.timedelta(days=day) for day in range(5)]),
    "bytes": pl.Series("odd", [b"1"] * 5),
    "clock times": pl.Series("odd", [dt.time(day) for day in range(5)]),
    "flags": pl.Series("odd", [True, False, True, True, False]),
}


@pytest.mark.parametrize("odd", ODD_COLUMNS.values(), ids=ODD_COLUMNS)
def test_a_column_that_holds_no_numbers_is_left_out_and_refused_where_numbers_must_be(tmp_path: Path, odd: pl.Series):
    GOOD.with_columns(odd).write_parquet(tmp_path / "a.parquet")
    tables = FilesSource(FilesConfig(paths=(tmp_path,))).load()
    assert tables.account is not None and tables.metrics == []
    assert next(column for column in tables.account.columns if column.name == "odd").role == "left out"
    assert "'odd', which `metrics` names, serves as no metric" in _refused(tmp_path, metrics=["odd"])
    GOOD.with_columns(odd.alias("close")).write_parquet(tmp_path / "a.parquet")
    assert "'close' holds" in _refused(tmp_path)
    if odd.dtype != pl.Boolean:
        GOOD.with_columns(odd.alias("date")).write_parquet(tmp_path / "a.parquet")
        assert "'date' holds" in _refused(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    assert _refused(tmp_path / "gone.csv") == f"{tmp_path}/gone.csv: no such file: check the path"


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    assert "a.xlsx: is neither .parquet nor .csv" in _refused(tmp_path / "a.xlsx")


def test_a_folder_without_data_is_refused(tmp_path: Path):
    assert "has no .parquet or .csv file" in _refused(tmp_path)


def test_files_that_hold_the_same_day_are_refused(tmp_path: Path):
    GOOD.write_csv(tmp_path / "a.csv")
    GOOD.tail(1).write_csv(tmp_path / "b.csv")
    assert "a.csv and b.csv both have prices of NEAR on 2021-01-05: keep one" in _refused(tmp_path)


def test_metrics_that_two_files_hold_are_refused(tmp_path: Path):
    GOOD.write_csv(tmp_path / "a.csv")
    dated(metric([1, 2])).write_csv(tmp_path / "b.csv")
    dated(metric([2])).write_csv(tmp_path / "c.csv")
    assert "b.csv and c.csv both have metrics of NEAR on 2021-01-01: keep one" in _refused(tmp_path)
    dated(metric([3, 4, 5])).with_columns(fees=pl.Series([1.0, 2.0, 4.0])).write_csv(tmp_path / "c.csv")
    assert "two files have active of NEAR on 2021-01-01: keep one" in _refused(tmp_path)


def test_files_of_naive_and_of_zoned_times_are_refused(tmp_path: Path):
    naive = pl.col("date").cast(pl.Datetime("us"))
    GOOD.with_columns(naive).write_parquet(tmp_path / "a.parquet")
    dated(metric([1, 2])).with_columns(naive.dt.replace_time_zone("UTC")).write_parquet(tmp_path / "b.parquet")
    assert "a.parquet has times without a time zone and b.parquet times with one" in _refused(tmp_path)


def test_a_metric_that_a_symbol_lacks_is_refused(tmp_path: Path):
    pl.concat([dated(bars([1, 2], "ETH")), GOOD]).write_csv(tmp_path / "a.csv")
    dated(metric([1, 2])).write_csv(tmp_path / "b.csv")
    assert "no values of metric active for 1 of 2 symbols, such as ETH" in _refused(tmp_path)


def test_metrics_of_a_symbol_without_prices_are_refused(tmp_path: Path):
    GOOD.write_csv(tmp_path / "a.csv")
    dated(metric([1, 2])).drop("symbol").write_csv(tmp_path / "near_fees.csv")
    assert "metrics of NEAR_FEES have no prices to go with" in _refused(tmp_path)


@pytest.mark.parametrize("chosen", [{"symbols": ["BTC"]}, {"metrics": ["BTC"]}])
def test_a_choice_of_what_is_not_there_is_refused(tmp_path: Path, chosen: dict[str, object]):
    GOOD.with_columns(fees=1.0).write_csv(tmp_path / "a.csv")
    message = _refused(tmp_path, **chosen)
    assert "BTC" in message and ("NEAR" in message or "fees" in message)


def test_a_high_that_was_rounded_is_no_contradiction(tmp_path: Path):
    GOOD.with_columns(high=pl.col("close") * (1 - 1e-12)).write_parquet(tmp_path / "a.parquet")
    tables = FilesSource(FilesConfig(paths=(tmp_path,))).load()
    assert dated(tables.prices)["date"][-1] == dt.date(2021, 1, 5)
