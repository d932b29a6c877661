"""The role of each column of a file, recognized by its values, and reported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.numbers import read_numbers
from cortex.domains.markets.source import MarketTables
from cortex.errors import DataError

from .tables import bars, dated

DAYS = 40
PRICES = dated(bars([5 + day % 7 for day in range(DAYS)]))
NOISE = np.random.default_rng(0)
SECONDS = PRICES["date"].cast(pl.Datetime("ms")).to_physical() // 1000


def _load(folder: Path, table: pl.DataFrame, metrics: Sequence[str] | None = None) -> MarketTables:
    table.write_parquet(folder / "a.parquet")
    return FilesSource(FilesConfig.model_validate({"paths": folder / "a.parquet", "metrics": metrics})).load()


LEFT_OUT: dict[str, tuple[str, Any, str]] = {
    "pandas' index": ("", range(DAYS), "counter"),
    "an index from 1, downwards": ("Unnamed: 0", range(DAYS, 0, -1), "counter"),
    "a counter under a metric's name": ("active", range(100, 100 + 3 * DAYS, 3), "counter"),
    "the row's time": ("unix", SECONDS, "clock"),
    "the bar's end": ("close_time", SECONDS * 1000 + 86_399_999, "clock"),
    "a time that is no step from the last": ("seen", SECONDS + pl.Series(NOISE.integers(0, 9000, DAYS)), "clock"),
    "days of a spreadsheet": ("serial", SECONDS / 86_400 + 25_569, "counter"),
    "the year": ("year", PRICES["date"].dt.year(), "constant"),
    "the month": ("mm", PRICES["date"].dt.month(), "clock: the month"),
    "the day of the month": ("dom", PRICES["date"].dt.day(), "clock: the day of the month"),
    "the weekday, from 0": ("weekday", PRICES["date"].dt.weekday() - 1, "clock: the day of the week"),
    "a constant": ("ignore", [0.0] * DAYS, "constant"),
    "block numbers": ("block_number", 17_000_000 + np.cumsum(NOISE.integers(7100, 7200, DAYS)), "counter"),
    "ids": ("trade_id", np.cumsum(NOISE.integers(1, 10**6, DAYS)), "counter"),
    "block numbers in camel case": ("blockNumber", 17_000_000 + np.cumsum(NOISE.integers(7100, 7200, DAYS)), "counter"),
    "block numbers of a scanner": ("Blockno", 17_000_000 + np.cumsum(NOISE.integers(7100, 7200, DAYS)), "counter"),
    "ids in camel case": ("lastTradeId", np.cumsum(NOISE.integers(1, 10**6, DAYS)), "counter"),
    "ids of users": ("uid", np.cumsum(NOISE.integers(1, 10**6, DAYS)), "counter"),
    "a flag of weekends": ("is_weekend", PRICES["date"].dt.weekday() > 5, "true and false"),
    "weekends as numbers": ("weekend", (PRICES["date"].dt.weekday() > 5).cast(pl.Int8), "clock"),
    "weekdays from Saturday": ("wd", (PRICES["date"].dt.weekday() + 2) % 7 + 10, "clock"),
    "a close without dividends": ("Adj Close", PRICES["close"], "a price: the same as close"),
    "nothing of a terminal": ("px", ["#N/A N/A", "#N/A Field Not Applicable"] * (DAYS // 2), "no values"),
    "nothing": ("empty", ["NA", "-"] * (DAYS // 2), "no values"),
    "words": ("venue", ["spot"] * DAYS, "text, such as 'spot'"),
    "dates": ("updated", PRICES["date"], "holds dates"),
    "flags": ("listed", [True, False] * (DAYS // 2), "true and false"),
}


@pytest.mark.parametrize(("name", "values", "why"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_column_with_nothing_to_learn_is_left_out_and_said(tmp_path: Path, name: str, values: Any, why: str):
    tables = _load(tmp_path, PRICES.with_columns(pl.Series(name, values)))
    assert tables.metrics == [] and tables.account is not None
    column = next(column for column in tables.account.columns if column.name == name)
    assert column.role == "left out" and why in column.why, column


METRICS: dict[str, tuple[str, Any]] = {
    "a supply that grows unevenly": ("total_supply", 19_000_000 + np.cumsum(NOISE.integers(880, 920, DAYS))),
    "a cumulative count": ("transactions_total", np.cumsum(NOISE.integers(1, 10**6, DAYS))),
    "a volume of the size of a time": ("volume", 1.7e9 + NOISE.normal(0, 3e8, DAYS)),
    "small whole numbers": ("listings", NOISE.integers(1, 8, DAYS)),
    "one change in all": ("fork", [0.0] * (DAYS - 1) + [1.0]),
    "a name that ends as an id's": ("total_paid", np.cumsum(NOISE.integers(1, 10**6, DAYS))),
    "a number of holders": ("holder_number", np.cumsum(NOISE.integers(1, 10**6, DAYS))),
    "a weekly rhythm that is no calendar": ("visits", PRICES["date"].dt.weekday() * 100 + NOISE.normal(0, 1, DAYS)),
    "an id that is a measure": ("grid", NOISE.normal(0, 1, DAYS)),
}


@pytest.mark.parametrize(("name", "values"), METRICS.values(), ids=METRICS)
def test_a_metric_is_not_taken_for_a_counter_or_clock(tmp_path: Path, name: str, values: Any):
    assert _load(tmp_path, PRICES.with_columns(pl.Series(name, values))).metrics == [name]


@pytest.mark.parametrize(
    "name", ["time", "Date", "_file", "_row", "_part", "_bars", "_usual", "value", "count", "_history"]
)
def test_a_metric_may_have_any_name(tmp_path: Path, name: str):
    hours = pl.datetime_range(pl.datetime(2021, 1, 1), pl.datetime(2021, 1, 9, 18), "6h", eager=True)
    table = pl.DataFrame({"open_time": hours, name: NOISE.normal(0, 1, len(hours))}).with_columns(
        pl.lit(1.0).alias(price) for price in ("open", "high", "low", "close")
    )
    tables = _load(tmp_path, table)
    assert tables.prices.height == 9 and tables.onchain is not None and tables.onchain.shape == (9, 3)
    assert tables.onchain[tables.metrics[0]].to_list() == pytest.approx(
        [table[name][row : row + 4].mean() for row in range(0, 36, 4)]
    )


def test_an_index_that_runs_over_all_symbols_is_a_counter(tmp_path: Path):
    both = dated(pl.concat([bars([1, 2, 3] * 10, "ETH"), bars([2, 3, 4] * 10)])).with_row_index("n")
    assert _load(tmp_path, both).metrics == []
    restarting = both.with_columns(n=pl.col("date").cum_count().over("symbol"))
    assert _load(tmp_path, restarting).metrics == []


def test_a_column_that_is_asked_for_is_a_metric_whatever_it_looks_like(tmp_path: Path):
    table = PRICES.with_columns(
        active=pl.Series(range(DAYS)), fees=pl.Series(NOISE.normal(0, 1, DAYS)), venue=pl.lit("x")
    )
    tables = _load(tmp_path, table, metrics=["Active"])
    assert tables.metrics == ["active"] and tables.account is not None
    assert {c.name: c.why for c in tables.account.columns}["fees"] == "not among the `metrics` asked for"
    with pytest.raises(DataError, match=r"column 'venue', which `metrics` names, serves as no metric .left out: text"):
        _load(tmp_path, table, metrics=["venue"])
    with pytest.raises(DataError, match=r"column 'close', which `metrics` names, serves as no metric .price"):
        _load(tmp_path, table, metrics=["close"])


WORDS: dict[str, float | None] = {
    "NA": None, "NULL": None, "null": None, "None": None, "N/A": None, "-": None, "--": None, "": None, "nan": None,
    "#N/A": None, "1,234,567": 1234567, "1,200.5": 1200.5, "$100": 100, "-$7.5": -7.5, "$-8": -8, "100 €": 100,
    "+5": 5, "1e5": 1e5, "−3": -3, " 4 ": 4, "1.5K": 1500, "2M": 2e6, "3B": 3e9, ".5": 0.5, "5.": 5,
}  # fmt: skip


@pytest.mark.parametrize("row", [0, 7, DAYS - 1])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("word", "number"), WORDS.items(), ids=[word or "empty" for word in WORDS])
def test_a_word_is_read_alike_wherever_it_stands(tmp_path: Path, word: str, number: float | None, row: int, kind: str):
    texts = [str(value) for value in NOISE.normal(0, 1, DAYS).round(3)]
    texts[row] = word
    file = tmp_path / f"a.{kind}"
    getattr(PRICES.with_columns(active=pl.Series(texts)), f"write_{kind}")(file)
    onchain = FilesSource(FilesConfig(paths=(file,))).load().onchain
    assert onchain is not None
    assert onchain["active"][row] == number
    assert onchain["active"].null_count() == (number is None)


def test_percents_are_hundredths_and_commas_group_where_the_file_shows_it():
    percents = read_numbers(pl.Series(["5%", "-2.5 %"]))
    assert percents is not None and percents.values.to_list() == [0.05, -0.025] and not percents.reasons
    grouped = read_numbers(pl.Series(["1,200", "7"]), comma_groups=True)
    assert grouped is not None and grouped.values.to_list() == [1200, 7]
    unclear = read_numbers(pl.Series(["1,200", "7"]))
    assert unclear is not None and list(unclear.reasons) == [0]
