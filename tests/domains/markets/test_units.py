"""Counts since 1970 whose unit changes from row to row, as exchanges change it from one year to the next."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.timestamps import read_times

from .tables import bars, dated

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
FIRST, END = 946_684_800, 2_000_000_000
"""From 2000 to 2033: later seconds may look like hours written as digits, 2034013115, and are refused where all do."""


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(FIRST, END - 1), st.sampled_from(sorted(PER_SECOND))), min_size=1, max_size=8),
    form=st.sampled_from(["numbers", "text", "fractions"]),
)
def test_each_row_is_read_by_its_own_unit(rows: list[tuple[int, str]], form: str):
    counts = pl.Series("time", [second * PER_SECOND[unit] for second, unit in rows])
    if form == "text":
        counts = counts.cast(pl.String)
    elif form == "fractions":
        counts = counts.cast(pl.Float64)
    seconds = read_times(counts, "a.csv").utc.to_physical() / 10**6
    assert np.abs(seconds.to_numpy() - np.array([second for second, _ in rows])).max() < 1e-3


@pytest.mark.parametrize("units", [("ms", "us"), ("us", "ms"), ("s", "ms"), ("ms", "s"), ("ns", "s")])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_whose_unit_changes_is_the_same_history(tmp_path: Path, units: tuple[str, str], kind: str):
    prices = dated(bars([1, 2, 3, 4, 5, 6]))
    seconds = prices["date"].cast(pl.Datetime("ms")).to_physical() // 1000
    stamps = [second * PER_SECOND[units[row >= 3]] for row, second in enumerate(seconds)]
    getattr(prices.with_columns(date=pl.Series(stamps)), f"write_{kind}")(tmp_path / f"a.{kind}")
    tables = FilesSource(FilesConfig(paths=(tmp_path,))).load()
    assert dated(tables.prices).equals(prices)
    assert tables.account is not None
    assert all(unit in tables.account.columns[1].why for unit in units)


def test_offsets_of_summer_and_winter_are_read_row_by_row():
    texts = [
        "2024-03-31T00:00:00+01:00",
        "2024-03-31T04:00:00+02:00",
        "2024-10-27T04:00:00.5+01",
        "2024-10-28T00:00-0330",
    ]
    hours = (
        read_times(pl.Series("time", texts), "a.csv")
        .utc.dt.replace_time_zone(None)
        .dt.strftime("%m-%d %H:%M:%S%.3f")
        .to_list()
    )
    assert hours == ["03-30 23:00:00.000", "03-31 02:00:00.000", "10-27 03:00:00.500", "10-28 03:30:00.000"]
