"""No decision uses later data, whatever the calendar: bars of any length, exchange's days, gaps and time zones."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.examples import ask, decide
from cortex.domains.markets.features import build_features
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.source import MarketTables

from .tables import render_all

BARS = 400
NEW_YORK = "America/New_York"


def _opens(kind: str) -> pl.Series:
    """Local opening times of consecutive bars, over a change of clocks."""
    if kind == "1d":
        days = pl.date_range(dt.date(2020, 9, 1), dt.date(2022, 6, 1), eager=True)
        open_days = days.filter(days.dt.weekday() <= 5)[:BARS]
        return open_days.cast(pl.Datetime("us")) + dt.timedelta(hours=16)
    step = {"30m": dt.timedelta(minutes=30), "1h": dt.timedelta(hours=1), "days": dt.timedelta(days=1)}[kind]
    start = dt.datetime(2021, 3, 10)
    return pl.datetime_range(start, start + (BARS - 1) * step, step, time_unit="us", eager=True)


def _file(kind: str, stamps: str, kept: np.ndarray, seed: int) -> tuple[pl.DataFrame, pl.Series]:
    """A file's rows, and the moment at which each bar is known: by hand, and not by the code under test."""
    opens = _opens(kind)
    rng = np.random.default_rng(seed)
    close = np.exp(rng.normal(0, 0.02, BARS).cumsum() + 3)
    if kind == "1d":
        utc = opens.dt.replace_time_zone(NEW_YORK)
        known = (opens + dt.timedelta(days=1)).dt.replace_time_zone(NEW_YORK).dt.convert_time_zone("UTC")
        stamp = known if stamps == "close" else utc.dt.convert_time_zone("UTC")
        known = stamp if stamps == "close" else known
    else:
        length = {"30m": dt.timedelta(minutes=30), "1h": dt.timedelta(hours=1), "days": dt.timedelta(days=1)}[kind]
        utc = opens.dt.replace_time_zone("UTC")
        known = utc + length
        stamp = known if stamps == "close" else utc
    frame = pl.DataFrame(
        {
            "symbol": "A",
            "time": stamp,
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "flow": rng.normal(size=BARS),
        }
    )
    keep = pl.Series(kept)
    return frame.filter(keep), known.filter(keep)


def _load(frame: pl.DataFrame, kind: str, stamps: str, more: dict[str, Any]) -> tuple[MarketTables, DataConfig]:
    with tempfile.TemporaryDirectory() as folder:
        frame.write_parquet(Path(folder, "a.parquet"))
        source = {"kind": "files", "paths": folder, "bars": kind, "stamps": stamps}
        source |= {"zone": NEW_YORK} if kind == "1d" else {}
        window = {"window_days": 20} if kind == "days" else {"window_bars": 20}
        config = DataConfig.model_validate({"source": source, **window, **more})
        assert config.source.kind == "files"
        return FilesSource(config.source).load(), config


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["days", "1d", "1h", "30m"]),
    stamps=st.sampled_from(["open", "close"]),
    horizon=st.sampled_from([{"horizon_bars": 1}, {"horizon_bars": 5}, {"horizon_days": 1}, {"horizon_days": 2}]),
    lag=st.sampled_from([0, 1]),
    gaps=st.lists(st.tuples(st.integers(0, BARS), st.integers(1, 12)), max_size=6),
    cut=st.integers(120, BARS - 60),
    seed=st.integers(0, 2**32 - 1),
    gone=st.booleans(),
)
def test_nothing_that_closes_after_a_decision_changes_its_prompt(
    kind: str,
    stamps: str,
    horizon: dict[str, int],
    lag: int,
    gaps: list[tuple[int, int]],
    cut: int,
    seed: int,
    gone: bool,
) -> None:
    kept = np.ones(BARS, dtype=np.bool_)
    for start, length in gaps:
        kept[start : start + length] = False
    stamps = "open" if kind == "days" else stamps
    frame, known = _file(kind, stamps, kept, seed)
    more = {**horizon, "onchain_lag_days": lag}
    more["every_bars"] = 1
    moment = known[min(cut, len(known) - 1)]
    later = known > moment
    rng = np.random.default_rng(seed + 1)
    other = frame.with_columns(
        pl.when(later).then(pl.Series(rng.lognormal(3, 2, len(frame)))).otherwise(pl.lit(1.0)).alias("_factor")
    ).with_columns(
        pl.when(later).then(pl.col("_factor")).otherwise(pl.col(name)).alias(name) for name in ("close", "flow")
    )
    other = other.with_columns(
        pl.when(later).then("close").otherwise(name).alias(name) for name in ("open", "high", "low")
    )
    other = other.drop("_factor")
    if gone:
        other = other.filter(~later | pl.Series(rng.random(len(frame)) < 0.5))
    (tables, config), (changed, _) = (_load(each, kind, stamps, more) for each in (frame, other))
    past = pl.col("time") <= moment
    features = build_features(tables, config)[0].filter(past)
    assert features.height == (~later).sum(), "a bar is known when it closes, neither earlier nor later"
    assert build_features(changed, config)[0].filter(past).equals(features)
    prompts = [_prompts(each, config, moment) for each in (tables, changed)]
    shared = prompts[0].keys() & prompts[1].keys()
    assert shared or "horizon_days" in horizon, "days may have no bar at the same hour, where rows are gone"
    assert all(prompts[0][name] == prompts[1][name] for name in shared)


def _prompts(tables: MarketTables, config: DataConfig, moment: dt.datetime) -> dict[str, Any]:
    # Every decision, of whichever split.
    frame, features = build_features(tables, config)
    decided = decide(tables, frame, features, config).with_columns(split=pl.lit("train"))
    examples = ask(decided, features, config, render_all).filter(pl.col("at") <= moment)
    return dict(examples.select("id", pl.col("messages").list.get(0).struct.field("content")).iter_rows())
