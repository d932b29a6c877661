"""Generated market files: each is read to the right days, or refused in one line."""

import datetime as dt
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

from cortex.market.config import FilesConfig
from cortex.market.files import FilesSource

from .runner import Fuzz

START = dt.date(2021, 1, 1)
CLOCKS: dict[str, Callable[[dt.date], object]] = {
    "plain": str,
    "iso": lambda day: f"{day}T00:00:00Z",
    "ms": lambda day: (day - dt.date(1970, 1, 1)).days * 86_400_000,
}


@dataclass(frozen=True)
class Generated:
    """A table, and what is true of it."""

    table: pl.DataFrame
    closes: dict[dt.date, float]


@st.composite
def tables(draw: st.DrawFn) -> Generated:
    days = [START + dt.timedelta(days=day) for day in range(draw(st.integers(1, 20)))]
    closes = [draw(st.floats(1e-6, 1e6)) for _ in days]
    clock = CLOCKS[draw(st.sampled_from(sorted(CLOCKS)))]
    prices = dict.fromkeys(("open", "high", "low", "close"), closes)
    return Generated(
        pl.DataFrame({"date": [clock(day) for day in days], **prices}), dict(zip(days, closes, strict=True))
    )


def check_table(generated: Generated) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "NEAR.csv")
        generated.table.write_csv(file)
        loaded = FilesSource(FilesConfig(paths=(file,))).load().prices
    assert dict(loaded.select("date", "close").iter_rows()) == generated.closes


def test_generated_tables_are_read_right(fuzz: Fuzz) -> None:
    fuzz(tables(), check_table)
