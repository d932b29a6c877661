"""Bars that stay bars: their closing times, and one line for stamps that nobody can read for sure."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.outcomes import outcomes
from cortex.domains.markets.protocol import render_prompts
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.spans import Span
from cortex.errors import DataError

from .tables import START, bars, closed, render_all

PERP = Path(__file__).resolve().parents[4] / "shared" / "data" / "market" / "perp_30m.parquet"


def _rows(stamps: list[Any], name: str = "time") -> pl.DataFrame:
    prices = [float(100 + index % 7) for index in range(len(stamps))]
    return pl.DataFrame({name: stamps, **dict.fromkeys(("open", "high", "low", "close"), prices)})


def _load(folder: Path, rows: pl.DataFrame, **source: Any) -> MarketTables:
    rows.write_parquet(folder / "A.parquet")
    return FilesSource(FilesConfig.model_validate({"paths": folder, **source})).load()


def _hours(start: dt.datetime, count: int, step: dt.timedelta = dt.timedelta(hours=1)) -> list[dt.datetime]:
    return [start + index * step for index in range(count)]


def test_an_opening_stamp_becomes_the_close(tmp_path: Path) -> None:
    opens = _hours(dt.datetime(2021, 1, 1), 5)
    closes = [open_.replace(tzinfo=dt.UTC) + dt.timedelta(hours=1) for open_ in opens]
    assert _load(tmp_path, _rows(opens), bars="1h").prices["time"].to_list() == closes
    assert _load(tmp_path, _rows(opens, "open_time"), bars="1h", stamps="close").prices["time"].to_list() == closes
    last_milliseconds = [close.replace(tzinfo=None) - dt.timedelta(milliseconds=1) for close in closes]
    assert _load(tmp_path, _rows(last_milliseconds, "close_time"), bars="1h").prices["time"].to_list() == closes
    naive = [close.replace(tzinfo=None) for close in closes]
    assert _load(tmp_path, _rows(naive), bars="1h", stamps="close").prices["time"].to_list() == closes


def test_a_day_of_new_york_ends_at_its_own_hour_in_summer_and_winter(tmp_path: Path) -> None:
    opens = [dt.datetime(2021, 3, day, 16) for day in (11, 12, 13, 14, 15)]
    found = _load(tmp_path, _rows(opens), bars="1d", zone="America/New_York").prices["time"]
    assert [time.hour for time in found.to_list()] == [21, 21, 20, 20, 20]
    closes = pl.Series([dt.datetime(2021, 11, day, 16) for day in (5, 8)]).dt.replace_time_zone("America/New_York")
    rows = _rows(closes.to_list()).with_columns(closes.alias("time"))
    found = _load(tmp_path, rows, bars="1d", stamps="close").prices["time"]
    assert [time.hour for time in found.to_list()] == [20, 21], "stamped when they close, they need no zone"


def test_a_week_later_is_the_same_hour_of_the_clock(tmp_path: Path) -> None:
    closes = [dt.datetime(2021, 3, day, 16) for day in range(1, 29)]
    tables = _load(tmp_path, _rows(closes), bars="1d", stamps="close", zone="America/New_York")
    assert outcomes(tables.prices, Span(7, "days"), tables.zone).height == 21
    assert outcomes(tables.prices, Span(7, "days")).height == 14, "by UTC, seven weeks' days have no partner"


def test_an_outcome_in_bars_counts_a_symbol_s_own_and_crosses_no_break() -> None:
    day = dt.timedelta(days=1)
    weekend = pl.concat([bars([1, 2]), bars([4, 8], start=START + 4 * day)])
    found = outcomes(weekend, Span(1, "bars"))
    assert found["outcome"].to_list() == [1, 1, 1]
    assert found["outcome_time"][1] == closed(START + 4 * day)
    assert outcomes(weekend, Span(1, "days"))["outcome"].to_list() == [1, 1]
    apart = pl.concat([bars([1, 2]), bars([4, 8], start=START + 30 * day)])
    assert outcomes(apart, Span(1, "bars"))["outcome"].to_list() == [1, 1]


def test_words_of_a_prompt_are_true_of_bars(tmp_path: Path) -> None:
    rows = _rows(_hours(dt.datetime(2021, 1, 1), 600))
    source = {"kind": "files", "paths": str(tmp_path), "bars": "1h"}
    config = DataConfig.model_validate({"source": source, "horizon_bars": 4, "window_bars": 20})
    examples = build_examples(_load(tmp_path, rows, bars="1h"), config, render_prompts)
    text = examples["messages"][0][0]["content"]
    assert "Horizon: 4 hourly bars\n" in text and "7-bar momentum" in text and "day" not in text
    assert "no change counting as half a rise" in text
    assert examples["id"][0].startswith("A-2021-01-0") and examples["id"][0].endswith(":00:00Z")
    compact = build_examples(
        _load(tmp_path, rows, bars="1h"), config, lambda *given: render_prompts(*given, style="compact")
    )
    assert compact["messages"][0][0]["content"].startswith("A 4b mom7:")


def test_decisions_and_embargoes_count_a_symbol_s_own_bars(tmp_path: Path) -> None:
    rows = _rows(_hours(dt.datetime(2021, 1, 1), 900))
    source = {"kind": "files", "paths": str(tmp_path), "bars": "1h"}
    keys = {"source": source, "window_bars": 20, "horizon_bars": 1, "every_bars": 3, "embargo_bars": 30}
    examples = build_examples(_load(tmp_path, rows, bars="1h"), DataConfig.model_validate(keys), render_all)
    train, validation = (examples.filter(split=name)["at"] for name in ("train", "validation"))
    assert train.diff().drop_nulls().unique().to_list() == [dt.timedelta(hours=3)]
    last, first = train.max(), validation.min()
    assert isinstance(last, dt.datetime) and isinstance(first, dt.datetime)
    assert first - last >= dt.timedelta(hours=30)


@pytest.mark.skipif(not PERP.is_file(), reason="no real market data beside this checkout")
def test_half_hour_bars_give_the_examples_that_days_are_too_few_for() -> None:
    source = {"kind": "files", "paths": str(PERP), "bars": "30m"}
    config = DataConfig.model_validate({"source": source, "horizon_bars": 48, "every_bars": 12})
    assert config.source.kind == "files"
    examples = build_examples(FilesSource(config.source).load(), config, render_all)
    assert examples["symbol"].n_unique() == 30 and examples.height > 2_000
    length = (examples["outcome_time"] - examples["at"]).unique().to_list()
    assert length == [dt.timedelta(days=1)]


WRONG = {
    "mixed stamps": (
        _rows([dt.datetime(2021, 1, 1, 0), dt.datetime(2021, 1, 1, 1), dt.datetime(2021, 1, 1, 1, 59, 59)]),
        {"bars": "1h"},
        r"A.parquet: row 3 is stamped 2021-01-01 01:59, and row 1 2021-01-01 00:00, .* not on one grid of 1h",
    ),
    "bars of another length": (
        _rows(_hours(dt.datetime(2021, 1, 1), 5, dt.timedelta(minutes=30))),
        {"bars": "1h", "stamps": "close"},
        r"A.parquet: row 2 is stamped 2021-01-01 00:30",
    ),
    "shorter bars on the grid": (
        _rows(_hours(dt.datetime(2021, 1, 1), 5)),
        {"bars": "1d", "stamps": "close"},
        r"A.parquet: row 2 of A closes at 2021-01-01 01:00, 1:00:00 after the bar before, and `bars` is 1d",
    ),
    "plain dates as hours": (
        _rows([dt.date(2021, 1, 1), dt.date(2021, 1, 2)]),
        {"bars": "1h"},
        r"A.parquet: has plain dates, and `bars` is 1h: write times of day, or set bars: days",
    ),
    "plain dates that close": (
        _rows([dt.date(2021, 1, 1), dt.date(2021, 1, 2)]),
        {"bars": "1d", "stamps": "close"},
        r"A.parquet: plain dates do not say when a bar closes",
    ),
    "an hour that is skipped": (
        _rows(_hours(dt.datetime(2021, 3, 14, 1), 3)),
        {"bars": "1h", "zone": "America/New_York"},
        r"A.parquet: row 2 is of 2021-03-14 02:00, which daylight saving in America/New_York skips or repeats",
    ),
    "an hour that is repeated, without a zone": (
        _rows([dt.datetime(2021, 11, 7, 1), dt.datetime(2021, 11, 7, 1), dt.datetime(2021, 11, 7, 2)]),
        {"bars": "1h"},
        r"A.parquet: row 2 repeats A 2021-11-07 01:00: .*where clocks were set back, write UTC",
    ),
    "opening stamps that daylight saving moves": (
        _rows([dt.datetime(2021, 3, 12, 21), dt.datetime(2021, 3, 13, 21), dt.datetime(2021, 3, 14, 20)]),
        {"bars": "1d"},
        r"A.parquet: row 3 is stamped 2021-03-14 20:00, and row 1 2021-03-12 21:00, .*`zone`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_stamps_that_nobody_can_read_for_sure_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    rows, source, message = WRONG[name]
    with pytest.raises(DataError, match=message) as error:
        _load(tmp_path, rows, **source)
    assert "\n" not in str(error.value)


def test_a_gap_between_intraday_bars_is_named(tmp_path: Path) -> None:
    hours = _hours(dt.datetime(2021, 1, 1), 50)
    tables = _load(tmp_path, _rows(hours[:20] + hours[25:]), bars="1h")
    assert tables.account is not None
    assert tables.account.notes == (
        "A.parquet: one gap between bars of 1h, such as A between 2021-01-01 20:00 and 2021-01-02 02:00: bars are "
        "counted on across them",
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"horizon_days": 1, "horizon_bars": 1}, "horizon_days 1 and horizon_bars 1 exclude one another"),
        ({"horizon_bars": 1}, "a simulated market moves by days"),
        ({"window_bars": 20}, "window_bars 20: these bars are UTC days: set window_days"),
        ({"source": {"kind": "ecb"}, "window_days": 20}, "window_days 20: these bars are no UTC days: set window_bars"),
        ({"source": {"kind": "ecb", "signal": {"flow": 1}}}, "set horizon_bars: 1"),
        ({"source": {"kind": "files", "paths": "a", "zone": "New York"}}, "no time zone 'New York'"),
    ],
)
def test_keys_that_contradict_one_another_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate(keys)
