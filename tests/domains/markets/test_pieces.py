"""Tables read in pieces give the same examples, account and refusals as tables that are read whole."""

import datetime as dt
import random
import resource
import tempfile
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cortex.domains.domain import Workspace
from cortex.domains.markets.build import build_from
from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.source import MarketTables
from cortex.errors import DataError

START = dt.datetime(2021, 1, 1)
EXTRAS = ("fees", "sparse", "constant", "counter", "index", "clock", "nothing", "venue", "weekday")


def _rows(dice: random.Random, symbol: str, bars: int, days: int, extras: tuple[str, ...]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    gap = dice.choice([0, 0, 12])
    for number in range(days * bars - dice.randrange(bars)):
        time = START + dt.timedelta(hours=number * 24 // bars, days=gap if number > 20 * bars else 0)
        close = 100 + 10 * dice.random()
        made: dict[str, object] = {
            "fees": dice.gauss(0, 1),
            "sparse": dice.gauss(0, 1) if dice.random() < 0.5 else None,
            "constant": 7.0,
            "counter": 3 * number,
            "clock": int(time.timestamp()) + 60,
            "nothing": None,
            "venue": dice.choice(["spot", "perp"]),
            "weekday": float(time.weekday()),
        }
        row: dict[str, object] = {"symbol": symbol, "time": time}
        rows.append(row | dict.fromkeys(("open", "high", "low", "close"), close) | {n: made.get(n) for n in extras})
    return rows


def _table(dice: random.Random, symbols: list[str], bars: int, extras: tuple[str, ...], order: str) -> pl.DataFrame:
    table = pl.DataFrame(
        [row for symbol in symbols for row in _rows(dice, symbol, bars, dice.randrange(45, 60), extras)],
        infer_schema_length=None,
    )
    if "index" in extras:
        table = table.with_columns(pl.int_range(pl.len()).alias("index"))
    if "nothing" in extras:
        table = table.with_columns(pl.col("nothing").cast(pl.Float64))
    if order == "by day":
        return table.sort("time", maintain_order=True)
    return table.reverse() if order == "newest first" else table


def _loaded(config: FilesConfig, folder: Path, piece_rows: int) -> MarketTables:
    pieces = FilesSource(config).pieces(Workspace(folder, piece_rows=piece_rows))
    tables = list(pieces.tables)
    assert [path for path in folder.iterdir() if "piece" in path.name] == []
    onchain = [table.onchain for table in tables if table.onchain is not None]
    assert len(onchain) in (0, len(tables))
    prices = pl.concat([table.prices for table in tables]).sort("symbol", "time")
    metrics = pl.concat(onchain).sort("symbol", "time") if onchain else None
    return MarketTables(prices, metrics, account=pieces.account(), origins=pieces.origins())


def _assert_same(config: FilesConfig, piece_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            whole = FilesSource(config).load()
        except DataError as error:
            with pytest.raises(DataError) as refused:
                _loaded(config, Path(folder), piece_rows)
            assert str(refused.value).split(" (")[0] == str(error).split(" (")[0]
            return
        found = _loaded(config, Path(folder), piece_rows)
    assert found.prices.equals(whole.prices)
    assert found.account == whole.account
    assert found.origins is not None and whole.origins is not None
    assert found.origins.sort("file", "symbol").equals(whole.origins.sort("file", "symbol"))
    assert (found.onchain is None) == (whole.onchain is None)
    if found.onchain is not None and whole.onchain is not None:
        assert found.onchain.equals(whole.onchain)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 5),
    bars=st.sampled_from([1, 1, 4]),
    extras=st.lists(st.sampled_from(EXTRAS), unique=True, max_size=4).map(tuple),
    order=st.sampled_from(["by symbol", "by day", "newest first"]),
    split=st.booleans(),
    metrics=st.sampled_from([None, (), ("fees",)]),
    kept=st.sampled_from([None, ("a", "B1")]),
    piece_rows=st.integers(40, 300),
)
def test_pieces_say_the_same_as_the_whole(
    seed: int,
    count: int,
    bars: int,
    extras: tuple[str, ...],
    order: str,
    split: bool,
    metrics: tuple[str, ...] | None,
    kept: tuple[str, ...] | None,
    piece_rows: int,
) -> None:
    dice = random.Random(seed)
    symbols = ["B1", "a", "C", "d d", "É"][:count]
    table = _table(dice, symbols, bars, extras, order)
    with tempfile.TemporaryDirectory() as folder:
        if split:  # a part of the history, spelled otherwise, in a second file
            late = pl.col("time") >= START + dt.timedelta(days=30)
            table.filter(~late).write_parquet(Path(folder, "x-part1.parquet"))
            table.filter(late).with_columns(pl.col("symbol").str.to_lowercase()).write_parquet(
                Path(folder, "x-part2.parquet"), row_group_size=50
            )
        else:
            table.write_parquet(Path(folder, "x.parquet"), row_group_size=50)
        _assert_same(FilesConfig(paths=(Path(folder),), metrics=metrics, symbols=kept), piece_rows)


FAULTS = {
    "a price of nothing": (pl.lit(None, pl.Float64).alias("close"), "has close nothing"),
    "a repeated time": (pl.col("time").shift(1).alias("time"), "repeats"),
    "an infinite metric": (pl.lit(float("inf")).alias("fees"), "infinite fees"),
    "no symbol": (pl.lit(None, pl.String).alias("symbol"), "has no symbol"),
    "another hour": (pl.col("time").dt.offset_by("5h").alias("time"), "daily bar of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_pieces_are_refused_as_the_whole_is(tmp_path: Path, fault: str) -> None:
    change, message = FAULTS[fault]
    table = _table(random.Random(1), ["A", "B", "C"], 1, ("fees",), "by symbol")
    chosen = pl.int_range(pl.len()) == 100
    changed = pl.when(chosen).then(change).otherwise(pl.col(change.meta.output_name())).alias(change.meta.output_name())
    table.with_columns(changed).write_parquet(tmp_path / "x.parquet")
    config = FilesConfig(paths=(tmp_path / "x.parquet",))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DataError, match=message) as whole:
        FilesSource(config).load()
    with pytest.raises(DataError) as pieces:
        _loaded(config, tmp_path / "scratch", 50)
    assert str(pieces.value) == str(whole.value)


def test_metrics_that_a_symbol_lacks_are_refused_as_in_the_whole(tmp_path: Path) -> None:
    table = _table(random.Random(1), ["A", "B", "C", "D"], 1, ("fees", "sparse"), "by symbol")
    lacks = pl.when(pl.col("symbol").is_in(["B", "D"])).then(None).otherwise(pl.col("fees")).alias("fees")
    table.with_columns(lacks).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no values of metric fees for 2 of 4 symbols, such as B"):
        FilesSource(FilesConfig(paths=(tmp_path / "x.parquet",))).load()
    _assert_same(FilesConfig(paths=(tmp_path / "x.parquet",)), 50)


def test_symbols_listed_in_different_orders_are_refused(tmp_path: Path) -> None:
    table = _table(random.Random(1), ["A", "B"], 1, (), "by symbol")
    parts = [table.filter(symbol="A"), table.filter(symbol="B").reverse()]
    pl.concat(parts).write_parquet(tmp_path / "x.parquet")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(DataError, match="oldest first and others newest first: sort the rows by date"):
        _loaded(FilesConfig(paths=(tmp_path / "x.parquet",)), tmp_path / "scratch", 10)


def test_columns_of_text_that_may_be_numbers_are_read_whole(tmp_path: Path) -> None:
    table = _table(random.Random(1), ["A", "B"], 1, ("fees",), "by symbol").with_columns(pl.col("fees").cast(pl.String))
    table.write_parquet(tmp_path / "x.parquet")
    (tmp_path / "scratch").mkdir()
    source = FilesSource(FilesConfig(paths=(tmp_path / "x.parquet",)))
    assert source.pieces(Workspace(tmp_path / "scratch", piece_rows=10)).count == 1


def test_examples_of_pieces_are_those_of_the_whole_in_parts_of_whole_days(tmp_path: Path) -> None:
    table = _table(random.Random(1), ["A", "B", "C", "D", "E"], 1, ("fees",), "by day")
    table.write_parquet(tmp_path / "x.parquet")
    config = DataConfig(source=FilesConfig(paths=(tmp_path / "x.parquet",)), window_days=5, embargo_days=0)
    assert isinstance(config.source, FilesConfig)
    source = FilesSource(config.source)
    whole = build_from(source, config, "full", Workspace())
    steps: list[tuple[str, int, int]] = []
    workspace = Workspace(
        tmp_path / "scratch", lambda step, done, total: steps.append((step, done, total)), piece_rows=60, part_rows=9
    )
    (tmp_path / "scratch").mkdir()
    parts = build_from(source, config, "full", workspace)
    frames = list(parts.frames)
    assert len(frames) > 3
    assert pl.concat(frames).equals(pl.concat(whole.frames))
    assert parts.description() == whole.description()
    ends = [(frame["at"].min(), frame["at"].max()) for frame in frames]
    assert all(last < first for (_, last), (first, _) in pairwise(ends))  # type: ignore[operator]
    assert {step for step, _, _ in steps} == {"reading", "features", "examples"}
    assert all(0 <= done < total for _, done, total in steps)


def test_temporary_files_without_room_are_one_line(tmp_path: Path) -> None:
    _table(random.Random(1), ["A", "B"], 1, ("fees",), "by symbol").write_parquet(tmp_path / "x.parquet")
    (tmp_path / "scratch").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(DataError, match=r"piece-0-000000\.arrow cannot be written: .*; free space") as error:
            _loaded(FilesConfig(paths=(tmp_path / "x.parquet",)), tmp_path / "scratch", 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
