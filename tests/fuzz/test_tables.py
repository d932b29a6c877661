"""Generated market files: a sound one is read to the right days and numbers, and any other refused in one line."""

import datetime as dt
import gzip
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

from cortex.domains.markets.closing import day_of
from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.source import MarketTables
from cortex.errors import CortexError
from tests.domains.markets.tables import render_all

from .runner import Fuzz

START = dt.datetime(2020, 1, 1)
EPOCH = dt.datetime(1970, 1, 1)


def _count(time: dt.datetime, per_second: int) -> int:
    return int((time - EPOCH).total_seconds()) * per_second


CLOCKS: dict[str, Callable[[int, dt.datetime], object]] = {
    "iso": lambda row, time: f"{time:%Y-%m-%dT%H:%M:%SZ}",
    "lower": lambda row, time: f"{time:%Y-%m-%dt%H:%M:%Sz}",
    "postgres": lambda row, time: f"{time:%Y-%m-%d %H:%M:%S}+00",
    "gmt": lambda row, time: f"{time:%Y-%m-%d %H:%M:%S} GMT",
    "naive": lambda row, time: f"{time:%Y-%m-%d %H:%M}",
    "offsets": lambda row, time: f"{time + dt.timedelta(hours=row % 3):%Y-%m-%dT%H:%M}+0{row % 3}:00",
    "rfc2822": lambda row, time: f"{time:%a, %d %b %Y %H:%M:%S} +0000",
    "slashes": lambda row, time: f"{time:%Y/%m/%d %H:%M}",
    "s": lambda row, time: _count(time, 1),
    "ns": lambda row, time: _count(time, 10**9),
    "float": lambda row, time: float(_count(time, 1)),
    "units": lambda row, time: _count(time, 10 ** (3 * (row % 4))),
    "datetime": lambda row, time: time,
    "aware": lambda row, time: time.replace(tzinfo=dt.UTC),
}
WORDS: dict[str, float | None] = {
    "NA": None, "NULL": None, "-": None, "": None, "nan": None, "None": None, "N/A": None, "+5": 5, "1e3": 1000,
    "$7": 7, "−2": -2, "1,234,567": 1234567, "12,345.5": 12345.5, "3K": 3000, " 4 ": 4,
}  # fmt: skip
EXTRAS: dict[str, tuple[str, Callable[[int, dt.datetime, random.Random], object]]] = {
    "fees": ("metric", lambda row, time, dice: dice.gauss(0, 1)),
    "supply": ("metric", lambda row, time, dice: 10**6 + 900 * row + dice.randrange(800)),
    "dear volume": ("metric", lambda row, time, dice: 1.6e9 + dice.gauss(0, 2e8)),
    "": ("left out", lambda row, time, dice: row),
    "__row_index": ("left out", lambda row, time, dice: 7 + 3 * row),
    "close_time": ("left out", lambda row, time, dice: _count(time, 1000) + 21_599_999),
    "when": ("left out", lambda row, time, dice: time),
    "yyyy": ("left out", lambda row, time, dice: time.year),
    "ignore": ("left out", lambda row, time, dice: 0),
    "venue": ("left out", lambda row, time, dice: dice.choice(["spot", "perp"])),
    "nothing": ("left out", lambda row, time, dice: None),
}
FORMS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "mark": lambda text: text.encode("utf-8-sig"),
    "address above": lambda text: f"https://www.example.com/a,b\n{text}".encode(),
    "comments above": lambda text: f"# one\n# two, three\n\n{text}".encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
}


@dataclass(frozen=True)
class Market:
    """Contents and format of a generated file."""

    days: int
    bars: int
    """Bars of a day."""
    last_bars: int
    """Bars of the last day."""
    clock: str
    extras: tuple[str, ...]
    word: str
    """A word in one cell of each metric."""
    form: str
    separator: str
    seed: int
    damage: tuple[int, ...] = field(default=())
    """Places at which bytes of the file are replaced, cut out or doubled."""


def markets(*, damaged: bool = False) -> st.SearchStrategy[Market]:
    return st.integers(1, 4).flatmap(
        lambda bars: st.builds(
            Market,
            days=st.integers(9, 60) | st.just(170),
            bars=st.just(bars),
            last_bars=st.integers(1, bars),
            clock=st.sampled_from(sorted(CLOCKS)),
            extras=st.lists(st.sampled_from(sorted(EXTRAS)), unique=True, max_size=4).map(tuple),
            word=st.sampled_from(sorted(WORDS)),
            form=st.sampled_from(["parquet", *sorted(FORMS)]),
            separator=st.sampled_from(",;\t|"),
            seed=st.integers(0, 2**32 - 1),
            damage=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=3).map(tuple) if damaged else st.just(()),
        )
    )


def times_of(market: Market) -> list[dt.datetime]:
    whole = range((market.days - 1) * market.bars + market.last_bars)
    step = dt.timedelta(hours=24 // market.bars)
    return [START + dt.timedelta(days=row // market.bars) + (row % market.bars) * step for row in whole]


def table_of(market: Market) -> pl.DataFrame:
    """The table with the contents of each cell of the file."""
    dice = random.Random(market.seed)
    times = times_of(market)
    clock = CLOCKS[market.clock]
    price = 100.0
    closes: list[float] = []
    for _ in times:
        price *= 1 + dice.uniform(-0.03, 0.03)
        closes.append(round(price, 4))
    columns: dict[str, list[object]] = {"Date": [clock(row, time) for row, time in enumerate(times)]}
    columns |= {name: list(closes) for name in ("open", "high", "low", "close")}
    for name in market.extras:
        values: list[object] = [EXTRAS[name][1](row, time, dice) for row, time in enumerate(times)]
        if name in ("fees", "supply"):
            values = [str(value) for value in values]
            values[dice.randrange(len(values))] = market.word
        columns[name] = values
    return pl.DataFrame(columns, strict=False)


def write(market: Market, folder: Path) -> Path:
    table = table_of(market)
    if market.form == "parquet":
        table.write_parquet(folder / "NEAR.parquet")
        return folder / "NEAR.parquet"
    shown = table.with_columns(pl.col(pl.Datetime).dt.to_string("%Y-%m-%d %H:%M:%S"))
    text = shown.write_csv(separator=market.separator)
    (folder / "NEAR.csv").write_bytes(FORMS[market.form](text))
    return folder / "NEAR.csv"


def load(file: Path) -> MarketTables:
    return FilesSource(FilesConfig(paths=(file,))).load()


def check_sound(market: Market) -> None:
    """Right days, right numbers, every column accounted for, and every bar in a day or in the account."""
    with tempfile.TemporaryDirectory() as folder:
        tables = load(write(market, Path(folder)))
    table, times = table_of(market), times_of(market)
    last = {time.date(): row for row, time in enumerate(times)}
    cut_short = market.last_bars < market.bars
    if cut_short:
        del last[times[-1].date()]
    closes = table["close"]
    assert dict(tables.prices.select(day_of(), "close").iter_rows()) == {day: closes[row] for day, row in last.items()}
    assert tables.account is not None
    assert any("1 day in part left out" in note for note in tables.account.notes) == cut_short
    roles = {column.name: column.role for column in tables.account.columns}
    assert roles == {
        "Date": "time",
        **dict.fromkeys(("open", "high", "low", "close"), "price"),
        **{name: EXTRAS[name][0] for name in market.extras},
    }
    if market.bars == 1 and "fees" in market.extras and tables.onchain is not None:
        words = [WORDS.get(text, text) for text in table["fees"]]
        expected = [None if word is None else float(word) for word in words]
        assert tables.onchain["fees"].to_list() == expected
    if market.days == 170:
        _build(tables)


def check_damaged(market: Market) -> None:
    """Any damage leads to one line of refusal, or to a table of plausible days with every column accounted for."""
    with tempfile.TemporaryDirectory() as folder:
        file = write(market, Path(folder))
        data = bytearray(file.read_bytes())
        for number in market.damage:
            place, how = number % len(data), number % 5
            if how == 0:
                data[place] = number // 7 % 256
            elif how == 1:
                del data[place : place + number // 7 % 40]
            elif how == 2:
                data[place:place] = data[place : place + 60]
            elif how == 3:
                data[place:place] = ODD[number // 7 % len(ODD)].encode()
            else:
                del data[place + 1 :]
            data = data or bytearray(b"x")
        file.write_bytes(data)
        _refuse_or_account(file)


ODD = (
    *WORDS, "\n", "\n\n", '"', "'", ",", ";", "\t", "\0", "#", "=", "inf", "-1", "0", "1,5", "1.234,5", "5%", "€3", "é",
    "\ufeff", "\u2028", "😀", "2024-01-01", "1970-01-01", "01/02/2024", "20240131", "2024013100", "1e400", "9" * 40,
    "date", "close", "symbol", "true", "10000-01-01", "2024-02-30", "24:00", "-62135596800", "0x10", "1_000", "٣",
    "NaN", " ", "{}", "[1]", "\x1b[31m",
)  # fmt: skip
NAMES = (
    "date", "time", "open", "high", "low", "close", "symbol", "fees", "", "open_time", "close_time", "unix", "id",
    "_file", "_row", "Time", "value",
    "Close",
)  # fmt: skip


@st.composite
def jumbles(draw: st.DrawFn) -> str:
    """Lines of odd cells under likely names."""
    names = draw(st.lists(st.sampled_from(NAMES) | st.text(max_size=4), min_size=1, max_size=8))
    names = draw(st.sampled_from([names, ["date", "open", "high", "low", "close", *names]]))
    pool = draw(st.lists(st.sampled_from(ODD) | st.text(max_size=6), min_size=1, max_size=6))
    rows = draw(st.lists(st.lists(st.sampled_from(pool), min_size=len(names), max_size=len(names)), max_size=12))
    separator = draw(st.sampled_from(",;\t|"))
    return "\n".join(separator.join(row) for row in [names, *rows])


def check_jumble(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "NEAR.csv")
        file.write_text(text, encoding="utf-8", errors="replace")
        _refuse_or_account(file)


def _refuse_or_account(file: Path) -> None:
    try:
        tables = load(file)
    except CortexError as error:
        message = str(error)
        assert message.isprintable() and file.name in message and len(message) < 1000, message
        assert error.exit_code == 65
        return
    assert tables.account is not None
    assert {"time", "price"} <= {column.role for column in tables.account.columns}
    assert tables.prices.select(day_of().is_between(dt.date(1970, 12, 31), dt.date(2100, 1, 1)).all()).item()
    assert tables.prices.select((pl.col("close") > 0).all()).item()
    metrics = [column for column in tables.account.columns if column.role == "metric"]
    assert len(metrics) == len(tables.metrics)
    _build(tables)


def _build(tables: MarketTables) -> None:
    try:
        examples = build_examples(tables, DataConfig(window_days=20), render_all)
    except CortexError as error:
        assert "\n" not in str(error)
        return
    assert examples.height and set(tables.metrics) <= set(examples.columns)


def test_sound_tables_are_read_right(fuzz: Fuzz) -> None:
    fuzz(markets(), check_sound)


def test_damaged_tables_are_refused_or_accounted_for(fuzz: Fuzz) -> None:
    fuzz(markets(damaged=True), check_damaged)


def test_jumbles_are_refused_or_accounted_for(fuzz: Fuzz) -> None:
    fuzz(jumbles(), check_jumble)
