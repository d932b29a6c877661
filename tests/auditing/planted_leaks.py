"""Leaks to plant: each a way in which a build, or what became of a dataset, lets examples know their future."""

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.auditing.audit import AuditDepth, Audited, audit_dataset
from cortex.auditing.audit_record import Audit, Check
from cortex.domains.dataset import build_dataset
from cortex.domains.domain import Workspace
from cortex.domains.example_columns import EXAMPLES
from cortex.domains.markets.config import DataConfig, NewsConfig, SimulatorConfig
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.features import Feature, build_features
from cortex.domains.markets.news import news_of
from cortex.domains.markets.outcomes import outcomes
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.spans import Span
from cortex.settings import Settings
from tests.domains.markets.tables import dated, simulate

Build = Callable[[MarketTables, DataConfig], tuple[pl.DataFrame, list[Feature]]]
Spoil = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]

NEWS_OF = "cortex.domains.markets.examples.news_of"
BUILD = "cortex.domains.markets.build.build_features"
OUTCOMES = "cortex.domains.markets.examples.outcomes"
SIMULATED = SimulatorConfig(chains=3, days=260)


def market(**keys: object) -> Markets:
    return Markets.model_validate({"source": SIMULATED, "window_days": 20, **keys})


@dataclass(frozen=True)
class Leak:
    """One kind of leak, and the check that has to find it."""

    check: Check
    name: str | None = None
    """The function of the kit in whose place the leak is built in; None where a finished dataset is spoiled."""
    leaky: object = None
    spoil: Spoil | None = None
    files: bool = False
    """True for a market of files, with revised figures and dated texts."""

    def audit(self, seed: int, folder: Path) -> Audit:
        """Build a dataset with this leak, and audit it."""
        return audit_market(seed, folder, self.spoil, self.name, self.leaky, files=self.files)


def audit_market(
    seed: int,
    folder: Path,
    spoil: Spoil | None = None,
    name: str | None = None,
    leaky: object = None,
    *,
    files: bool = False,
) -> Audit:
    """Audit a dataset in which a function of the kit was replaced, and which was spoiled afterwards, if asked to."""
    domain = write_files(folder, seed) if files else market()
    with planted(name, leaky) if name else nullcontext():
        build_dataset(domain, seed, Settings(), folder / "dataset")
        if spoil:
            rows = pl.read_parquet(folder / "dataset" / EXAMPLES)
            spoil(rows, np.random.default_rng(seed)).write_parquet(folder / "dataset" / EXAMPLES)
        audited = Audited(domain, seed, Settings())
        return audit_dataset(folder / "dataset", audited, AuditDepth(cuts=(0.7,)), Workspace())


@contextmanager
def planted(name: str, leaky: object) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name, leaky)
        yield


def _frame_leak(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Build:
    """A build whose features are changed afterwards."""

    def build(tables: MarketTables, config: DataConfig) -> tuple[pl.DataFrame, list[Feature]]:
        frame, features = build_features(tables, config)
        return change(frame), features

    return build


def standardised_over_all(frame: pl.DataFrame) -> pl.DataFrame:
    """A feature scaled by the mean and the deviation of the whole history, later values included."""
    mom = pl.col("mom7")
    return frame.with_columns(((mom - mom.mean()) / mom.std()).over("symbol"))


def of_the_next_bar(frame: pl.DataFrame) -> pl.DataFrame:
    """A feature joined one bar off."""
    return frame.with_columns(pl.col("mom7").shift(-1).over("symbol"))


def filled_backward(frame: pl.DataFrame) -> pl.DataFrame:
    """Missing values filled with the next that is known."""
    holes = pl.int_range(pl.len()).over("symbol") % 4 > 0
    return frame.with_columns(pl.when(holes).then(None).otherwise("flow").backward_fill().over("symbol").alias("flow"))


def before_its_lag(tables: MarketTables, config: DataConfig) -> tuple[pl.DataFrame, list[Feature]]:
    """Metrics joined on the day that they are of, not on the day from which they were known."""
    return build_features(tables, config.model_copy(update={"onchain_lag_days": 0}))


def carried_forward(prices: pl.DataFrame, horizon: Span, zone: str | None = None) -> pl.DataFrame:
    """Outcomes of prices that are filled forward where there are none, beyond their end, too."""
    last = prices.group_by("symbol", maintain_order=True).last()
    after = pl.concat(last.with_columns(pl.col("time") + dt.timedelta(days=day)) for day in range(1, horizon.count + 1))
    return outcomes(pl.concat([prices, after]).sort("symbol", "time"), horizon, zone)


def of_the_past(prices: pl.DataFrame, horizon: Span, zone: str | None = None) -> pl.DataFrame:
    """Truths one horizon too early: the return that led to the decision."""
    found = outcomes(prices, horizon, zone)
    return found.with_columns(pl.col("outcome").shift(horizon.count).over("symbol")).drop_nulls()


def chosen_by_outcome(prices: pl.DataFrame, horizon: Span, zone: str | None = None) -> pl.DataFrame:
    """Only decisions that no large move followed."""
    return outcomes(prices, horizon, zone).filter(pl.col("outcome").abs() < 0.1)


def _copies(rows: pl.DataFrame, dice: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Some test examples under the names and times of training ones, which they replace; and the other rows."""
    train, test = (rows.filter(pl.col("split") == split) for split in ("train", "test"))
    count = 12
    places = pl.Series(dice.choice(len(train), count, replace=False))
    chosen = test[dice.choice(len(test), count, replace=False).tolist()]
    named = chosen.with_columns(train[places.to_list()][name] for name in ("id", "split", "cluster", "at"))
    named = named.with_columns(train[places.to_list()]["outcome_time"])
    return named, rows.filter(~pl.col("id").is_in(named["id"].implode()))


def copied(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    named, others = _copies(rows, dice)
    return pl.concat([others, named]).sort("at", "symbol")


def nearly_copied(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    """Copies in which two of ten features were revised."""
    named, others = _copies(rows, dice)
    named = named.with_columns(pl.col("mom7", "fees") + 0.25)
    return pl.concat([others, named]).sort("at", "symbol")


def without_purge(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    """Splits that are cut by decision alone: the last training outcomes are known only within validation."""
    start = rows.filter(pl.col("split") == "validation")["at"].min()
    late = (pl.col("split") == "train") & (pl.col("at") == pl.col("at").filter(pl.col("split") == "train").max())
    return rows.with_columns(
        pl.when(late).then(pl.lit(start) + dt.timedelta(days=1)).otherwise("outcome_time").alias("outcome_time")
    )


def follows_the_outcome(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    """A column with the outcome itself and some noise, as a file has it whose column is one bar ahead."""
    noise = pl.Series(dice.normal(0, 0.3, len(rows)))
    return rows.with_columns((pl.col("outcome") / pl.col("outcome").std() + noise).alias("whales"))


def constant(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    return rows.with_columns(pl.lit(1.5).alias("stables"))


def told_in_the_prompt(rows: pl.DataFrame, dice: np.random.Generator) -> pl.DataFrame:
    turn = pl.struct(pl.lit("user").alias("role"), pl.format("return {}", pl.col("truth")).alias("content"))
    return rows.with_columns(pl.concat_list(turn).alias("messages"))


def latest_revision(tables: MarketTables, config: DataConfig) -> tuple[pl.DataFrame, list[Feature]]:
    """Revised values joined as they are known today, from the day of the first estimate on."""
    assert tables.vintages is not None
    first = pl.col("known_at").min().over("symbol", "time").alias("known_at")
    newest = tables.vintages.sort("known_at").with_columns(first).group_by("symbol", "time", maintain_order=True).last()
    vintages = newest.select(tables.vintages.columns).sort("symbol", "known_at", "time")
    return build_features(replace(tables, vintages=vintages), config)


def text_of_the_day(keys: pl.DataFrame, news: pl.DataFrame, config: NewsConfig) -> pl.Series:
    """Texts joined by the day that they are about: the next morning's are in the prompt of the evening before."""
    return news_of(keys, news.with_columns(pl.col("time") - dt.timedelta(hours=12)), config)


def write_files(folder: Path, seed: int) -> Markets:
    """A market of files: prices, a figure that is revised twenty days later, and a text every day."""
    tables = simulate(market(), seed)
    assert tables.onchain is not None
    dated(tables.prices).write_csv(folder / "prices.csv")
    dice = np.random.default_rng(seed)
    day = tables.onchain["time"]
    estimate = pl.DataFrame({"symbol": tables.onchain["symbol"], "date": day.dt.offset_by("-1d").dt.date()})
    estimate = estimate.with_columns(pl.Series("gdp", dice.lognormal(3, 1, len(day))))
    first = estimate.with_columns(day.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("known_at"))
    later = day.dt.offset_by("20d").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("known_at")
    revised = estimate.with_columns(later, pl.col("gdp") * pl.Series(dice.lognormal(0, 0.2, len(day))))
    pl.concat([first, revised]).write_csv(folder / "gdp.csv")
    stamps = day.unique().sort().dt.offset_by("9h").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("known_at")
    news = pl.DataFrame([stamps]).with_columns(pl.format("event {} of the day", pl.int_range(pl.len())).alias("text"))
    news.write_csv(folder / "news.csv")
    source = {
        "kind": "files",
        "paths": [str(folder / "prices.csv")],
        "vintages": [str(folder / "gdp.csv")],
        "news": {"paths": [str(folder / "news.csv")]},
    }
    return Markets.model_validate({"source": source, "window_days": 20})


LEAKS: dict[str, Leak] = {
    "statistics of the whole history": Leak("future", BUILD, _frame_leak(standardised_over_all)),
    "a feature of the next bar": Leak("future", BUILD, _frame_leak(of_the_next_bar)),
    "missing values filled backward": Leak("future", BUILD, _frame_leak(filled_backward)),
    "a metric before its lag": Leak("future", BUILD, before_its_lag),
    "the latest revision": Leak("future", BUILD, latest_revision, files=True),
    "a text before its stamp": Leak("future", NEWS_OF, text_of_the_day, files=True),
    "prices filled forward as truths": Leak("label", OUTCOMES, carried_forward),
    "truths of the past": Leak("label", OUTCOMES, of_the_past),
    "examples chosen by their outcome": Leak("selection", OUTCOMES, chosen_by_outcome),
    "copies in another split": Leak("duplicates", spoil=copied),
    "near copies in another split": Leak("near-duplicates", spoil=nearly_copied),
    "outcomes that reach into the next split": Leak("overlap", spoil=without_purge),
    "a column that follows the outcome": Leak("column", spoil=follows_the_outcome),
    "a constant column": Leak("column", spoil=constant),
    "truths in prompts": Leak("prompt", spoil=told_in_the_prompt),
}
