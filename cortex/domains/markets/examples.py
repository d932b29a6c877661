"""Examples: a prompt with the data known at the decision, and the outcome, which the prompt does not contain."""

from collections.abc import Callable

import polars as pl

from cortex.domains.example_columns import one_turn
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import LABELS, Feature, build_features, warmup_bars
from cortex.domains.markets.gaps import Gaps
from cortex.domains.markets.outcomes import outcomes
from cortex.domains.markets.source import MarketTables
from cortex.domains.markets.splits import Boundaries, assign_splits, count_times, find_boundaries
from cortex.errors import DataError

Render = Callable[[pl.DataFrame, list[Feature], int], pl.Series]
"""Prompts for a table of symbol, date, decision_time and features, given the features and the horizon in days."""

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

    `frame` is the table of `build_features`. Columns: symbol, date, decision_time (UTC), the features, outcome (a
    fraction), outcome_time (UTC); and oracle_p_up and oracle_return, where an oracle is known.
    """
    decided = (
        frame.filter(pl.col("date").to_physical() % config.decision_step_days == 0)
        .drop_nulls([feature.name for feature in features])
        .join(outcomes(tables.prices, config.horizon_days), on=["symbol", "date"], how="inner")
        .sort("decision_time", "symbol")
    )
    if tables.oracle is None:
        return decided
    known = tables.oracle.select(
        "symbol", "date", pl.col("p_up").alias("oracle_p_up"), pl.col("expected_return").alias("oracle_return")
    )
    return decided.join(known, on=["symbol", "date"], how="left", maintain_order="left")


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
            embargo_days=config.embargo,
        )
    except DataError as error:
        raise DataError("; ".join((str(error), *gaps.notes()[-1:]))) from error


def ask(split: pl.DataFrame, features: list[Feature], config: DataConfig, render: Render) -> pl.DataFrame:
    """One row for each decision of a split, in their order.

    Columns: those of every domain's examples, the id such as NEAR-2021-03-04, a cluster for each decision date, at the
    decision's time; then symbol, outcome (a fraction), outcome_time (UTC), the features, and oracle_p_up and
    oracle_return, null where no oracle is known.
    """
    names = [feature.name for feature in features]
    prompts = render(split.select("symbol", "date", "decision_time", *names), features, config.horizon_days)
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ORACLE if name not in split.columns]
    return split.with_columns(unknown).select(
        pl.format("{}-{}", "symbol", "date").alias("id"),
        "split",
        pl.col("decision_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("cluster"),
        pl.col("decision_time").alias("at"),
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
        return "no prices at all: give daily bars of at least one symbol"
    symbol, most = longest
    needed = warmup_bars(config) + config.horizon_days
    asked = f"window_days {config.window_days} and horizon_days {config.horizon_days} need at least {needed}"
    if most < needed:
        return f"too little history: {symbol}, the longest, has {most} daily bars; {asked}: give more, or lower them"
    refusal = (
        f"no decision has every feature and an outcome, though {symbol} has {most} daily bars and {asked}: "
        "look for gaps in the prices, and for metrics whose dates do not meet them"
    )
    return "; ".join((refusal, *gaps.notes()[-1:]))


def feature_names(examples: pl.DataFrame) -> list[str]:
    """The columns of examples that are features: those between the outcome's time and the oracle's."""
    names = examples.columns
    return names[names.index("outcome_time") + 1 : names.index("oracle_p_up")]


def feature_labels(examples: pl.DataFrame) -> list[str]:
    """The features of examples, each as `name: label`."""
    return [f"{name}: {LABELS.get(name, name)}" for name in feature_names(examples)]
