import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables

from .tables import START, bars, dated, metric


def _load(*paths: Path, symbols: Sequence[str] | None = None, metrics: Sequence[str] | None = None) -> MarketTables:
    chosen = {"symbols": symbols, "metrics": metrics}
    return FilesSource(FilesConfig.model_validate({"paths": paths, **chosen})).load()


@pytest.fixture
def prices() -> pl.DataFrame:
    """Two symbols with proper highs and lows."""
    both = dated(pl.concat([bars([1, 2, 3, 4, 5], "ETH"), bars([2, 3, 2.5, 4, 4.25])]))
    return both.with_columns(pl.col("high") * 1.1, pl.col("low") * 0.9)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_was_written_is_read(tmp_path: Path, prices: pl.DataFrame, kind: str):
    file = tmp_path / f"prices.{kind}"
    getattr(prices, f"write_{kind}")(file)
    tables = _load(file)
    assert dated(tables.prices).equals(prices)
    assert tables.prices.schema == pl.Schema(PRICE_SCHEMA)
    assert tables.onchain is None and tables.oracle is None


@pytest.mark.parametrize(
    "columns",
    [
        ["ticker", "date", "open", "high", "low", "close"],
        ["Asset", "Open Time", "Open", "High", "Low", "Close"],
        ["SYMBOL", " timestamp ", "OPEN", "HIGH", "LOW", "CLOSE"],
    ],
)
def test_columns_go_by_their_usual_names(tmp_path: Path, prices: pl.DataFrame, columns: list[str]):
    prices.rename(dict(zip(prices.columns, columns, strict=True))).write_csv(tmp_path / "a.csv")
    assert dated(_load(tmp_path / "a.csv").prices).equals(prices)


@pytest.mark.parametrize(
    "stamp",
    [
        pl.col("date").cast(pl.String) + "T00:00:00Z",
        pl.col("date").cast(pl.String) + " 00:00",
        pl.col("date").cast(pl.String) + " 23:59:59.999",
        pl.col("date").cast(pl.String) + " 00:00:00+00:00",
        (pl.col("date") + pl.duration(hours=2)).cast(pl.String) + " 02:00+0200",
        (pl.col("date") - pl.duration(hours=5)).cast(pl.String) + "T19:00:00-05:00",
        pl.col("date").cast(pl.Datetime("ms")).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"),
        pl.col("date").cast(pl.Datetime("ns")),
        pl.col("date").cast(pl.Datetime("ms")).to_physical(),
        pl.col("date").cast(pl.Datetime("us")).to_physical(),
        pl.col("date").cast(pl.Datetime("us")).to_physical() // 1_000_000,
        pl.col("date").cast(pl.Datetime("ns")).to_physical(),
        pl.col("date").cast(pl.Datetime("us")).to_physical() / 1_000_000,
        (pl.col("date").cast(pl.Datetime("us")).to_physical() / 1_000_000).cast(pl.String),
        pl.col("date").cast(pl.Datetime("ms")).to_physical().cast(pl.String),
        pl.col("date")
        .cast(pl.Datetime("ns"))
        .dt.replace_time_zone("America/New_York")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
        .dt.truncate("1d"),
        pl.col("date").cast(pl.String).cast(pl.Categorical),
        pl.col("date").dt.strftime("%Y%m%d").cast(pl.Int64),
        pl.col("date").dt.strftime("%Y%m%d"),
        pl.col("date").dt.strftime("%Y/%m/%d"),
        pl.col("date").dt.strftime("%Y.%m.%d 00:00"),
        pl.col("date").dt.strftime("%b %d, %Y"),
        pl.col("date").dt.strftime("%d-%b-%Y"),
        pl.col("date").dt.strftime("%a, %d %b %Y 00:00:00 +0000"),
        pl.col("date").dt.strftime("%a, %d %b %Y 00:00:00 GMT"),
        pl.col("date").cast(pl.String) + "t00:00:00z",
        pl.col("date").cast(pl.String) + " 00:00:00+00",
        pl.col("date").cast(pl.String) + " 00:00:00 GMT",
        pl.col("date").cast(pl.String) + " 00:00:00 UTC",
        pl.col("date").cast(pl.String) + " 00:00:00.000000 +0000 UTC",
        pl.col("date").cast(pl.String) + " 00:00:00,000",
    ],
)
def test_times_in_every_usual_form_are_the_same_days(tmp_path: Path, prices: pl.DataFrame, stamp: pl.Expr):
    prices.with_columns(stamp.alias("date")).write_parquet(tmp_path / "a.parquet")
    assert dated(_load(tmp_path / "a.parquet").prices).equals(prices)


def test_rows_may_be_grouped_by_date_as_well(tmp_path: Path, prices: pl.DataFrame):
    prices.sort("date", "symbol", descending=[False, True]).write_csv(tmp_path / "a.csv")
    assert dated(_load(tmp_path / "a.csv").prices).equals(prices)


def test_a_history_may_be_listed_newest_first(tmp_path: Path, prices: pl.DataFrame):
    for name, rows in {"by symbol": prices.reverse(), "by date": prices.sort("date", "symbol").reverse()}.items():
        file = tmp_path / f"{name}.csv"
        rows.write_csv(file)
        assert dated(_load(file).prices).equals(prices), name


def test_shorter_bars_listed_newest_first_keep_their_opens_and_closes(tmp_path: Path):
    hours = pl.DataFrame(
        {
            "time": [f"2021-01-0{1 + hour // 24} {hour % 24:02}:00" for hour in range(48)],
            **{price: [float(hour + 1) for hour in range(48)] for price in ("open", "high", "low", "close")},
        }
    )
    hours.reverse().write_csv(tmp_path / "NEAR.csv")
    days = dated(_load(tmp_path / "NEAR.csv").prices)
    assert days["open"].to_list() == [1.0, 25.0] and days["close"].to_list() == [24.0, 48.0]


def test_other_numeric_columns_are_metrics_and_text_is_left_aside(tmp_path: Path, prices: pl.DataFrame):
    extra = prices.with_columns(
        Fees=pl.Series([1, None, 3, float("nan"), 5] * 2, strict=False),
        hashes=pl.Series([10**25, 10**24] * 5, dtype=pl.Int128),
        venue=pl.lit("spot"),
    )
    extra.write_parquet(tmp_path / "a.parquet")
    tables = _load(tmp_path / "a.parquet")
    assert tables.metrics == ["fees", "hashes"]
    assert tables.onchain is not None
    assert tables.onchain["fees"].to_list() == [1, None, 3, None, 5] * 2
    assert tables.onchain["hashes"].to_list() == [1e25, 1e24] * 5


def test_a_file_without_symbols_is_named_after_its_stem(tmp_path: Path, prices: pl.DataFrame):
    prices.filter(symbol="NEAR").drop("symbol").write_csv(tmp_path / "near.csv")
    assert dated(_load(tmp_path / "near.csv").prices).equals(prices.filter(symbol="NEAR"))


def test_a_folder_is_all_its_files_and_metrics_join_by_symbol_and_date(tmp_path: Path, prices: pl.DataFrame):
    for symbol in ("ETH", "NEAR"):
        prices.filter(symbol=symbol).write_parquet(tmp_path / f"{symbol}.parquet")
        dated(metric([5, None, 7], symbol, START + dt.timedelta(days=1))).write_csv(tmp_path / f"active_{symbol}.csv")
    dated(metric([9.0, 7, 9, 8, 9], "ETH").vstack(metric([8.0, 9, 8, 8, 9]))).rename({"active": "fees"}).write_csv(
        tmp_path / "fees.csv"
    )
    (tmp_path / "notes.txt").write_text("not data")
    tables = _load(tmp_path)
    assert dated(tables.prices).equals(prices)
    assert tables.onchain is not None
    near = tables.onchain.filter(symbol="NEAR").select("active", "fees").rows()
    assert near == [(None, 8), (5, 9), (None, 8), (7, 8), (None, 9)]


def test_a_history_may_come_in_parts(tmp_path: Path, prices: pl.DataFrame):
    cut = pl.col("date") < START + dt.timedelta(days=2)
    prices.filter(~cut).write_csv(tmp_path / "a.csv")
    prices.filter(cut).write_csv(tmp_path / "b.csv")
    assert dated(_load(tmp_path).prices).equals(prices)


def test_symbols_and_metrics_can_be_chosen(tmp_path: Path, prices: pl.DataFrame):
    prices.with_columns(a=1.0, b=2.0, c=3.0).write_parquet(tmp_path / "a.parquet")
    tables = _load(tmp_path / "a.parquet", symbols=["NEAR"], metrics=["c", "a"])
    assert dated(tables.prices).equals(prices.filter(symbol="NEAR"))
    assert tables.metrics == ["c", "a"]
    assert _load(tmp_path / "a.parquet", metrics=[]).onchain is None


def test_shorter_bars_become_utc_days_and_days_in_part_are_left_out(tmp_path: Path):
    hours = pl.datetime_range(dt.datetime(2021, 1, 1, 18), dt.datetime(2021, 1, 4, 5), "1h", eager=True)
    close, trades = np.random.default_rng(0).lognormal(size=(2, len(hours)))
    pl.DataFrame({"open_time": hours, "close": close, "trades": trades}).with_columns(
        open=pl.col("close") * 1.01, high=pl.col("close") * 1.02, low=pl.col("close") * 0.98
    ).write_csv(tmp_path / "near.csv")
    tables = _load(tmp_path / "near.csv")
    assert dated(tables.prices)["date"].to_list() == [dt.date(2021, 1, 2), dt.date(2021, 1, 3)]
    day = close[6:30]
    _, _, *ohlc = tables.prices.row(0)
    assert ohlc == pytest.approx([day[0] * 1.01, day.max() * 1.02, day.min() * 0.98, day[-1]])
    assert tables.onchain is not None and tables.onchain["trades"][0] == pytest.approx(trades[6:30].mean())


def test_the_description_names_each_file_by_its_hash_and_not_by_its_place(tmp_path: Path, prices: pl.DataFrame):
    file = tmp_path / "prices.csv"
    prices.write_csv(file)
    described = FilesSource(FilesConfig(paths=(tmp_path,), symbols=("NEAR",))).describe()
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert described == {
        "name": "files",
        "files": [{"name": "prices.csv", "sha256": sha256}],
        "symbols": ["NEAR"],
        "metrics": None,
    }
