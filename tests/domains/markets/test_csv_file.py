"""CSV files as users have them: preambles, encodings, separators, hidden files beside them, histories in parts."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.source import MarketTables
from cortex.errors import DataError

from .tables import bars, dated

PRICES = dated(bars([1, 2, 3, 4, 5.5]))
PLAIN = PRICES.write_csv()


def _load(*paths: Path) -> MarketTables:
    return FilesSource(FilesConfig(paths=paths)).load()


FORMS: dict[str, bytes] = {
    "an address above": f"https://www.example.com/data\n{PLAIN}".encode(),
    "comments above": f"# exported\n#\n{PLAIN}".encode(),
    "a licence above": f"Daily prices, free to use\n\n{PLAIN}".encode(),
    "a commented header": f"# {PLAIN}".encode(),
    "a separator's line": ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-16, the other way round, without a mark": PLAIN.encode("utf-16-be"),
    "UTF-8 with a mark": PLAIN.encode("utf-8-sig"),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "CR": PLAIN.replace("\n", "\r").encode(),
    "no end of the last line": PLAIN.rstrip().encode(),
    "blank lines": (PLAIN.replace("\n", "\n\n") + "\n\n").encode(),
    "quotes": PRICES.write_csv(quote_style="always").encode(),
    "quotes with ends of lines": PLAIN.replace("NEAR", '"NEAR\n"').encode(),
    "gzip": gzip.compress(PLAIN.encode()),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_table_is_the_same_in_every_usual_form(tmp_path: Path, data: bytes):
    file = tmp_path / "prices.csv"
    file.write_bytes(data)
    assert dated(_load(file).prices).equals(PRICES)


def test_what_stands_above_the_header_is_said(tmp_path: Path):
    (tmp_path / "a.csv").write_text(f"https://www.example.com/data\n{PLAIN}")
    account = _load(tmp_path).account
    assert account is not None and account.notes == ("a.csv: line 1 left out: 'https://www.example.com/data'",)


def test_hidden_files_are_left_out_and_said(tmp_path: Path):
    (tmp_path / "NEAR.csv").write_text(PLAIN)
    (tmp_path / "._NEAR.csv").write_bytes(b"\0\5\x16\7 Mac OS X")
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    tables = _load(tmp_path)
    assert dated(tables.prices).equals(PRICES)
    assert tables.account is not None and tables.account.notes == ("not read: .DS_Store, ._NEAR.csv",)


@pytest.mark.parametrize(
    "names", [("NEAR-2023", "NEAR-2024"), ("near_2023-01", "near_2023-02"), ("NEAR part 1", "NEAR part 2")]
)
def test_one_asset_in_several_files_is_one_history(tmp_path: Path, names: tuple[str, str]):
    for name, part in zip(names, (PRICES[:2], PRICES[2:]), strict=True):
        part.drop("symbol").write_csv(tmp_path / f"{name}.csv")
    tables = _load(tmp_path)
    assert dated(tables.prices).equals(PRICES)
    assert tables.account is not None
    assert tables.account.notes == (f"NEAR: joined from {names[0]}.csv, {names[1]}.csv",)


@pytest.mark.parametrize(
    "names", [("NEAR_1", "NEAR_2"), ("NEAR", "near-1"), ("NEAR_60", "NEAR_1440"), ("X-2021", "X (1)")]
)
def test_files_of_one_name_and_bare_numbers_are_refused_and_never_two_assets(tmp_path: Path, names: tuple[str, str]):
    """They may be parts, intervals, copies, or assets: only the person who named them knows."""
    for name, part in zip(names, (PRICES[:2], PRICES[2:]), strict=True):
        part.drop("symbol").write_csv(tmp_path / f"{name}.csv")
    with pytest.raises(DataError, match=r"named alike but for a number: name parts of one history `BTC-part1`"):
        _load(tmp_path)
    for name, part in zip(names, (PRICES[:2], PRICES[2:]), strict=True):
        part.write_csv(tmp_path / f"{name}.csv")
    assert dated(_load(tmp_path).prices).equals(PRICES), "a symbol column says which asset they are of"


@pytest.mark.parametrize(
    ("date", "time", "form"),
    [
        ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "text"),
        ("%Y-%m-%d", "%Y-%m-%d", "text"),
        ("%Y-%m-%d", "%s000", "ms since 1970"),
    ],
)
def test_two_clocks_that_agree_in_every_row_are_one(tmp_path: Path, date: str, time: str, form: str):
    stamped = PRICES.with_columns(
        pl.col("date").dt.to_string(date), pl.col("date").cast(pl.Datetime("us")).dt.strftime(time).alias("timestamp")
    )
    stamped.write_csv(tmp_path / "near.csv")
    tables = _load(tmp_path / "near.csv")
    assert dated(tables.prices).equals(PRICES) and tables.onchain is None
    assert tables.account is not None
    clock, same = ("date", "timestamp") if time == date else ("timestamp", "date")
    roles = {column.name: (column.role, column.why) for column in tables.account.columns}
    assert roles[clock] == ("time", form)
    assert roles[same] == ("left out", f"the same times as {clock}")


def test_a_day_that_two_parts_share_is_whole(tmp_path: Path):
    hours = pl.datetime_range(pl.datetime(2021, 1, 1), pl.datetime(2021, 1, 4, 23), "1h", eager=True)
    table = pl.DataFrame({"symbol": "NEAR", "time": hours}).with_columns(
        close=pl.int_range(1, len(hours) + 1).cast(pl.Float64)
    )
    table = table.select(
        "symbol", "time", *(pl.col("close").alias(price) for price in ("open", "high", "low", "close"))
    )
    table.write_csv(tmp_path / "whole.csv")
    whole = _load(tmp_path / "whole.csv")
    for name, part in (("a", table[:36]), ("b", table[36:])):
        part.write_csv(tmp_path / f"{name}.csv")
    assert _load(tmp_path / "a.csv", tmp_path / "b.csv").prices.equals(whole.prices)
    table[30:].write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"a.csv and b.csv both have prices of NEAR on 2021-01-02: keep one"):
        _load(tmp_path / "a.csv", tmp_path / "b.csv")


@pytest.mark.parametrize("hours", [1, 11, 12, 13, 23])
def test_a_last_day_that_is_not_over_is_left_out_and_said(tmp_path: Path, hours: int):
    times = pl.datetime_range(pl.datetime(2021, 1, 1), pl.datetime(2021, 1, 5, hours - 1), "1h", eager=True)
    pl.DataFrame({"time": times}).with_columns(
        *(pl.lit(1.0).alias(price) for price in ("open", "high", "low", "close"))
    ).write_csv(tmp_path / "near.csv")
    tables = _load(tmp_path)
    assert dated(tables.prices)["date"].to_list() == [*PRICES["date"][:4]]
    assert tables.account is not None
    assert tables.account.notes == (
        f"near.csv: 1 day in part left out, such as NEAR 2021-01-05 with {hours} of 24 bars",
    )


@pytest.mark.parametrize("spellings", [("btc", "BTC"), ("BTC ", "BTC"), ("Btc", " btc")])
def test_spellings_that_differ_in_case_or_blanks_are_one_asset(tmp_path: Path, spellings: tuple[str, str]):
    table = PRICES.with_columns(symbol=pl.Series([spellings[0]] * 2 + [spellings[1]] * 3))
    table.write_csv(tmp_path / "a.csv")
    tables = _load(tmp_path)
    assert tables.prices.height == 5 and tables.prices["symbol"].n_unique() == 1
    if spellings[0].strip() != spellings[1].strip():
        assert tables.prices["symbol"][0] == "BTC" and tables.account is not None
        assert tables.account.notes[0].endswith("are read as BTC")
    twice = pl.concat([PRICES.with_columns(symbol=pl.lit(spelling)) for spelling in spellings])
    twice.write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match="row 6 is out of order"):
        _load(tmp_path)


def test_a_symbol_may_be_chosen_in_another_case(tmp_path: Path):
    pl.concat([dated(bars([1, 2], "ETH")), PRICES]).write_csv(tmp_path / "a.csv")
    config = FilesConfig.model_validate({"paths": tmp_path, "symbols": ["near"]})
    assert dated(FilesSource(config).load().prices).equals(PRICES)


OPENS = PRICES["date"].cast(pl.Datetime("ms")).to_physical()
CLOCKS: dict[str, dict[str, pl.Series]] = {
    "open and close": {"open_time": OPENS, "close_time": OPENS + 86_400_000},
    "close and open": {"close_time": OPENS + 86_400_000, "open_time": OPENS},
    "camel case": {"timeClose": OPENS + 86_399_999, "timeOpen": OPENS},
    "the close alone, at midnight": {"close_time": OPENS + 86_400_000},
    "the close alone, just before": {"Close time": OPENS + 86_399_999},
    "a date and a count": {"unix": OPENS + 86_400_000, "date": PRICES["date"]},
    "a count alone": {"unix": OPENS // 1000},
    "a date and its day of the month": {"day": PRICES["date"].dt.day(), "date": PRICES["date"]},
}


@pytest.mark.parametrize("clocks", CLOCKS.values(), ids=CLOCKS)
def test_a_bar_is_of_the_day_that_it_opens_in_whichever_clocks_it_has(tmp_path: Path, clocks: dict[str, pl.Series]):
    PRICES.drop("date").with_columns(**clocks).write_parquet(tmp_path / "a.parquet")
    tables = _load(tmp_path)
    assert dated(tables.prices).equals(PRICES)
    assert not {"unix", "close_time", "timeclose"} & set(tables.metrics)
