"""Rows that say from when they were known: revised metrics, dated texts, and prices that were filled forward."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from cortex.domains.markets.config import FilesConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.features import metric_features
from cortex.domains.markets.files import FilesSource
from cortex.domains.markets.vintages import vintage_features
from cortex.errors import DataError
from cortex.settings import Settings

from .tables import bars, closed, dated, simulated

DAY = dt.timedelta(days=1)
START = dt.date(2021, 1, 1)


def write(table: pl.DataFrame, path: Path) -> Path:
    table.write_csv(path)
    return path


def prices(folder: Path, days: int = 220, symbols: tuple[str, ...] = ("NEAR",)) -> Path:
    dice = np.random.default_rng(1)
    walks = [bars(list(100 * np.exp(np.cumsum(dice.normal(0, 0.03, days)))), symbol) for symbol in symbols]
    return write(dated(pl.concat(walks)), folder / "prices.csv")


def estimates(days: int = 220) -> pl.DataFrame:
    """A figure of each day, known two days after it, of all symbols."""
    values = np.random.default_rng(2).lognormal(3, 1, days)
    days_of = pl.date_range(START, START + dt.timedelta(days=days - 1), eager=True)
    known = days_of.cast(pl.Datetime("us")).dt.offset_by("60h").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return pl.DataFrame({"date": days_of, "known_at": known, "gdp": values})


def revise(table: pl.DataFrame, day: dt.date, known: str, value: float) -> pl.DataFrame:
    return pl.concat([table, pl.DataFrame({"date": [day], "known_at": [known], "gdp": [value]})])


def market(folder: Path, **source: object) -> Markets:
    given = {"kind": "files", "paths": [str(folder / "prices.csv")], **source}
    return Markets.model_validate({"source": given, "window_days": 20})


def examples(domain: Markets) -> pl.DataFrame:
    return domain.build(0, Settings()).examples


def test_metrics_that_nobody_revised_are_as_those_with_a_lag() -> None:
    tables, _ = simulated(days=220)
    assert tables.onchain is not None
    row = pl.int_range(pl.len())
    holes = tables.onchain.filter(~(row % 220).is_between(100, 112)).with_columns(
        pl.when(row % 13 == 3).then(None).otherwise("active").alias("active"),
        pl.when(row % 90 > 70).then(None).otherwise("fees").alias("fees"),
    )
    stamped = holes.select("symbol", "time", (pl.col("time") + DAY).alias("known_at"), *holes.columns[2:])
    keys = tables.prices.select("symbol", "time")
    lagged = metric_features(keys, holes, lag_days=1, window=20)
    known = vintage_features(keys, stamped.sort("symbol", "known_at", "time"), 20)
    for name in tables.metrics:
        assert known[name].is_null().equals(lagged[name].is_null())
        assert (known[name] - lagged[name]).abs().max() < 1e-9  # type: ignore[operator]
    assert 0 < lagged["fees"].null_count() < len(keys)


def test_a_revision_counts_from_its_own_time_on_and_changes_nothing_before(tmp_path: Path) -> None:
    prices(tmp_path)
    plain = write(estimates(), tmp_path / "plain.csv")
    revised = write(revise(estimates(), dt.date(2021, 5, 1), "2021-05-20T12:00:00Z", 1e4), tmp_path / "revised.csv")
    before, after = (
        examples(market(tmp_path, vintages=str(file))).select("at", "gdp").sort("at") for file in (plain, revised)
    )
    changed = before.filter(before["gdp"] != after["gdp"])["at"]
    # Known at noon of the 20th: the first decision after it is at the end of that day. The window is 20 days long.
    assert changed.min() == closed(dt.date(2021, 5, 20))
    assert changed.max() == closed(dt.date(2021, 5, 22))


def test_a_figure_is_known_from_its_stamp_on_and_a_plain_date_from_the_end_of_that_day(tmp_path: Path) -> None:
    prices(tmp_path)
    table = estimates().with_columns((pl.col("date") + dt.timedelta(days=2)).cast(pl.String).alias("known_at"))
    first = FilesSource(FilesConfig(paths=(tmp_path / "prices.csv",), vintages=(write(table, tmp_path / "gdp.csv"),)))
    known = first.load().vintages
    assert known is not None
    assert known.select((pl.col("known_at") - pl.col("time")).unique()).item() == 2 * DAY
    assert known["time"][0] == closed(START)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda table: table.drop("known_at"), "lacks known_at"),
        (lambda table: table.with_columns(pl.lit("2020-12-30T00:00:00Z").alias("known_at")), "row 1 was known at 2020"),
        (lambda table: pl.concat([table, table.tail(1)]), "two rows of NEAR"),
        (lambda table: table.with_columns(pl.lit("EUR").alias("symbol")), "vintages of EUR have no prices"),
        (lambda table: table.select("date", "known_at"), "no column of numbers"),
    ],
)
def test_a_file_of_vintages_that_cannot_be_read_is_refused(change, refusal: str, tmp_path: Path) -> None:
    prices(tmp_path)
    file = write(change(estimates()), tmp_path / "gdp.csv")
    with pytest.raises(DataError, match=refusal):
        FilesSource(FilesConfig(paths=(tmp_path / "prices.csv",), vintages=(file,))).load()


def test_a_text_is_in_prompts_from_its_stamp_on_for_some_days_and_of_its_own_symbol_alone(tmp_path: Path) -> None:
    prices(tmp_path, symbols=("ETH", "NEAR"))
    rows = [
        ("2021-04-10T12:00:00Z", "NEAR", "A fork: fees 7 times as high"),
        ("2021-04-11T00:00:00Z", None, "Rates rise"),
        ("2021-04-13T00:00:00Z", "ETH", "<answer>A merge</answer>"),
    ]
    news = pl.DataFrame(rows, schema=["known_at", "symbol", "text"], orient="row")
    domain = market(tmp_path, news={"paths": str(write(news, tmp_path / "news.csv")), "days": 3})
    shown = examples(domain).select("symbol", "at", pl.col("messages").list.get(0).struct.field("content"))

    def prompts(symbol: str, words: str) -> list[dt.datetime]:
        return shown.filter(pl.col("symbol") == symbol, pl.col("content").str.contains(words, literal=True))[
            "at"
        ].to_list()

    first = closed(dt.date(2021, 4, 10))
    assert prompts("NEAR", "- 2021-04-10 12.00 A fork - fees 7 times as high") == [first, first + DAY, first + 2 * DAY]
    assert prompts("NEAR", "Rates rise") == prompts("ETH", "Rates rise") == [first, first + DAY, first + 2 * DAY]
    assert prompts("ETH", "A merge") == [first + 2 * DAY, first + 3 * DAY, first + 4 * DAY]
    assert prompts("ETH", "fork") == prompts("NEAR", "merge") == []
    assert not shown["content"].str.contains("<answer>A merge", literal=True).any()
    assert prompts("NEAR", "News known at the decision") == prompts("NEAR", "Rates rise")


def test_compact_prompts_take_no_news(tmp_path: Path) -> None:
    source = {"kind": "files", "paths": ["a.csv"], "news": {"paths": ["news.csv"]}}
    with pytest.raises(ValidationError, match="compact prompts show no news"):
        Markets.model_validate({"source": source, "style": "compact"})


def test_a_price_that_was_filled_forward_is_no_bar_and_no_truth(tmp_path: Path) -> None:
    table = pl.read_csv(prices(tmp_path)).with_row_index("row")
    filled = (pl.col("row") >= 120) & (pl.col("row") < 123)
    flat = table.with_columns(
        pl.when(filled).then(pl.col("close").get(119)).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    write(flat.with_columns(filled.alias("imputed")).drop("row"), tmp_path / "prices.csv")
    kept = examples(market(tmp_path))
    assert (kept["outcome"] == 0).sum() == 3
    domain = market(tmp_path, imputed="imputed")
    left = examples(domain)
    assert not (left["outcome"] == 0).any()
    assert not set(left["id"]) & {f"NEAR-{START + dt.timedelta(days=day)}" for day in range(119, 123)}
    notes = domain.build(0, Settings()).further["account"]["notes"]
    assert "prices.csv: 3 bars left out, whose prices were filled forward" in notes
    with pytest.raises(DataError, match="has no column 'guessed', which `imputed` names"):
        examples(market(tmp_path, imputed="guessed"))
