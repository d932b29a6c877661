"""Examples of UTC days stay the same from version to version, so that datasets and runs can be compared."""

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest

from cortex.domains.markets.domain import Markets
from cortex.settings import Settings

SIMULATOR = {"kind": "simulator", "chains": 2, "days": 300}


def _digest(**keys: object) -> tuple[int, str]:
    """Number of examples, and a hash over what is asked and what is true, without the last bits of the arithmetic."""
    examples = Markets.model_validate({"window_days": 20, **keys}).build(0, Settings()).examples
    question = pl.col("messages").list.get(0).struct.field("content")
    rows = examples.select("id", "split", "cluster", "at", "outcome_time", question, pl.col("outcome").round(6))
    return examples.height, hashlib.sha256(rows.write_csv().encode()).hexdigest()[:16]


def _write_six_hour_bars(folder: Path) -> None:
    """Bars with two gaps and a metric."""
    count = 1200
    wave = [100 + (bar * bar % 37) + bar % 5 / 8 for bar in range(count)]
    table = pl.DataFrame(
        {
            "time": [dt.datetime(2021, 1, 1) + dt.timedelta(hours=6 * bar) for bar in range(count)],
            "open": wave,
            "high": [price + 2 for price in wave],
            "low": [price - 2 for price in wave],
            "close": [price + bar % 3 - 1 for bar, price in enumerate(wave)],
            "visits": [float(5 + bar * bar % 91) for bar in range(count)],
        }
    )
    row = pl.int_range(pl.len())
    table.filter(~row.is_between(400, 450) & (row % 29 != 3)).write_csv(folder / "NEAR.csv")


@pytest.mark.parametrize(
    ("keys", "known"),
    [
        ({}, (496, "1a0a0c5853cb9ca2")),
        ({"horizon_days": 3, "every_days": 2, "style": "compact"}, (236, "2c14df011b532930")),
    ],
)
def test_a_simulated_market_gives_known_examples(keys: dict[str, object], known: tuple[int, str]) -> None:
    assert _digest(source=SIMULATOR, **keys) == known


def test_a_file_gives_known_examples(tmp_path: Path) -> None:
    _write_six_hour_bars(tmp_path)
    source = {"kind": "files", "paths": str(tmp_path)}
    assert _digest(source=source, horizon_days=2, every_days=1) == (179, "4f748b0fb1f76f89")
