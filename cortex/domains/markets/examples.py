"""Examples: a prompt with the data known at the decision, and the outcome, which the prompt does not contain."""

import datetime as dt
from collections.abc import Callable

import polars as pl

from cortex.domains.example_columns import one_turn
from cortex.domains.markets.bars import DAY, Bar
from cortex.domains.markets.closing import bar_id
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import Feature, build_features, label_of, warmup_bars
from cortex.domains.markets.gaps import Gaps
from cortex.domains.markets.news import NEWS, news_of
from cortex.domains.markets.outcomes import outcomes
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.spans import Span
from cortex.domains.markets.splits import Boundaries, assign_splits, count_times, find_boundaries
from cortex.errors import DataError

Render = Callable[[pl.DataFrame, list[Feature], DataConfig], pl.Series]
"""Prompts for a table of symbol, time and features, given the features, and the configuration for its horizon."""

ORACLE = ("oracle_p_up", "oracle_return")
"""Columns of the best forecast, where it is known."""


def build_examples(tables: MarketTables, config: DataConfig, render: Render) -> pl.DataFrame:
    """The examples of tables that fit in memory: see `decide`, `find_splits` and `ask`.

    Raises DataError where the history is too short, or a split is left empty.
    """
    frame, features = build_features(tables, config)
    gaps = Gaps(config)
    gaps.add(frame)
    decided = decide(tables, frame, features, config)
    boundaries = find_splits(count_times(decided), gaps)
    return ask(assign_splits(decided, boundaries), features, config, render)


def decide(tables: MarketTables, frame: pl.DataFrame, features: list[Feature], config: DataConfig) -> pl.DataFrame:
    """Each decision that has every feature and an outcome, sorted by time and symbol.

    `frame` is the table of `build_features`. Columns: symbol, time (UTC), the features, clear_of (as of
    `count_times`), outcome (a fraction), outcome_time (UTC); news, where there are some; and oracle_p_up and
    oracle_return, where an oracle is known.
    """
    decided = (
        frame.with_columns(_before(config.embargo).alias("clear_of"))
        .filter(_is_decision(config))
        .drop_nulls([feature.name for feature in features])
        .join(outcomes(tables.prices, config.horizon, tables.zone), on=["symbol", "time"], how="inner")
        .sort("time", "symbol")
    )
    if tables.news is not None and config.news is not None:
        decided = decided.with_columns(news_of(decided, tables.news, config.news).alias(NEWS))
    if tables.oracle is None:
        return decided
    known = tables.oracle.select(
        "symbol", "time", pl.col("p_up").alias("oracle_p_up"), pl.col("expected_return").alias("oracle_return")
    )
    return decided.join(known, on=["symbol", "time"], how="left", maintain_order="left")


def _before(embargo: Span) -> pl.Expr:
    """The time of a decision less an embargo; of bars, of the symbol's own, null where it has no more."""
    if embargo.unit == "days":
        return pl.col("time") - dt.timedelta(days=embargo.count)
    return pl.col("time").shift(embargo.count).over("symbol")


def _is_decision(config: DataConfig) -> pl.Expr:
    """The bars at whose close a decision is taken, of a table with all bars' symbol and time, sorted by them."""
    step = config.step
    if step.unit == "bars":
        return pl.int_range(pl.len()).over("symbol") % step.count == 0
    if config.bar == DAY:
        # The day's number is that of its closing time less one.
        return (pl.col("time").dt.epoch("d") - 1) % step.count == 0
    # Of other bars, the first that closes in each period.
    period = pl.col("time").dt.epoch("d") // step.count
    return period != period.shift(1, fill_value=-1).over("symbol")


def find_splits(times: pl.DataFrame, gaps: Gaps) -> Boundaries:
    """The boundaries of the splits, from the number of decisions of each time.

    Raises DataError where the history is too short, or a split is left empty.
    """
    config = gaps.config
    if times.is_empty():
        raise DataError(_too_short(gaps))
    try:
        return find_boundaries(
            times,
            train_fraction=config.train_fraction,
            validation_fraction=config.validation_fraction,
            embargo=config.embargo,
        )
    except DataError as error:
        raise DataError("; ".join((str(error), *gaps.notes()[-1:]))) from error


def ask(split: pl.DataFrame, features: list[Feature], config: DataConfig, render: Render) -> pl.DataFrame:
    """One row for each decision of a split, in their order.

    Columns: those of every domain's examples, the id such as NEAR-2021-03-04, a cluster for each decision time; then
    symbol, outcome (a fraction), outcome_time (UTC), the features, and oracle_p_up and oracle_return, null where no
    oracle is known.
    """
    names = [feature.name for feature in features]
    news = [NEWS] if NEWS in split.columns else []
    prompts = render(split.select("symbol", "time", *names, *news), features, config)
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ORACLE if name not in split.columns]
    return split.with_columns(unknown).select(
        pl.format("{}-{}", "symbol", bar_id(config.bar)).alias("id"),
        "split",
        pl.col("time").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("cluster"),
        pl.col("time").alias("at"),
        one_turn(prompts).alias("messages"),
        pl.col("outcome").cast(pl.String).alias("truth"),
        "symbol",
        "outcome",
        "outcome_time",
        *names,
        *ORACLE,
    )


def _too_short(gaps: Gaps) -> str:
    config, longest = gaps.config, gaps.longest()
    if longest is None:
        return "no prices at all: give bars of at least one symbol"
    symbol, most = longest
    bar, horizon = "daily bar" if config.bar == DAY else config.bar.name, config.horizon
    # It is not known how many bars there are in a horizon of days, unless bars are days: at least one.
    needed = warmup_bars(config) + (horizon.count if horizon.unit == "bars" or config.bar == DAY else 1)
    window = f"window_{'days' if config.bar == DAY else 'bars'} {config.window}"
    asked = f"{window} and horizon_{horizon.unit} {horizon.count} need at least {needed}"
    if most < needed:
        return f"too little history: {symbol}, the longest, has {most} {bar}s; {asked}: give more, or lower them"
    refusal = (
        f"no decision has every feature and an outcome, though {symbol} has {most} {bar}s and {asked}: "
        "look for gaps in the prices, and for metrics whose dates do not meet them"
    )
    return "; ".join((refusal, *gaps.notes()[-1:]))


def feature_names(examples: pl.DataFrame) -> list[str]:
    """The columns of examples that are features: those between the outcome's time and the oracle's."""
    names = examples.columns
    return names[names.index("outcome_time") + 1 : names.index("oracle_p_up")]


def feature_labels(examples: pl.DataFrame, bar: Bar) -> list[str]:
    """The features of examples, each as `name: label`."""
    return [f"{name}: {label_of(name, bar)}" for name in feature_names(examples)]
