"""Checks of files together, before anything is computed from them: symbols, time zones, metrics."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import polars as pl

from cortex.domains.markets.account import Column, quoted, shortened
from cortex.domains.markets.checks import check_metrics, check_order, check_prices, is_newest_first
from cortex.domains.markets.columns import why_no_metric
from cortex.domains.markets.contributions import origins_of
from cortex.domains.markets.symbols import merge_spellings, numbered_alike, spelled, symbol_of
from cortex.domains.markets.table_file import UNNAMED, TableFile, column_name
from cortex.errors import DataError


def check_zones(tables: Sequence[TableFile]) -> None:
    zoned = next((table.name for table in tables if table.zoned), None)
    naive = next((table.name for table in tables if table.zoned is False), None)
    if zoned and naive:
        raise DataError(f"{naive} has times without a time zone and {zoned} times with one: write all in UTC")


def check_numbers(stems: Sequence[str]) -> None:
    """Refuse files whose names differ only by a number, as `BTC_1` and `BTC_2`: parts, intervals, or two assets?"""
    named = {symbol_of(stem): stem for stem in stems}  # years and parts are not in the symbol: their files are joined
    if alike := numbered_alike(list(named)):
        files = " and ".join(quoted(named[symbol]) for symbol in alike)
        raise DataError(
            f"{files}, files without a symbol column, are named alike but for a number: name parts of one history "
            "`BTC-part1` and `BTC-part2`, keep one of two intervals, or add a symbol column"
        )


def merge_symbols(tables: Sequence[TableFile]) -> tuple[list[TableFile], tuple[str, ...]]:
    found = {symbol for table in tables for symbol in table.rows["symbol"].unique().drop_nulls()}
    names, notes = merge_spellings(found)
    if not names:
        return list(tables), ()
    renamed = [
        replace(table, rows=table.rows.with_columns(spelled(table.rows["symbol"], names).alias("symbol")))
        for table in tables
    ]
    return renamed, notes


def check_rows(table: TableFile) -> None:
    if not is_newest_first(table.rows):  # such a table is reversed later, when its history is sorted
        check_order(table.rows, table.name)
    if table.prices:
        check_prices(table.rows, table.name)
    check_metrics(table.rows, table.metrics, table.name)


def find_left_out(
    candidates: Iterable[tuple[str, Callable[[], pl.DataFrame]]],
    tables: Sequence[TableFile],
    asked_for: Sequence[str] | None,
) -> dict[str, str]:
    """The reason for each numeric column that is not used as a metric.

    `candidates` are the metrics of each history, with its rows in the order of the files. Raises DataError for a wanted
    column without numbers.
    """
    wanted = None if asked_for is None else [column_name(metric) for metric in asked_for]
    reasons: dict[str, list[str | None]] = {}
    for metric, rows in candidates:
        if wanted is None:
            reasons.setdefault(metric, []).append(why_no_metric(rows(), metric))
        else:
            reasons.setdefault(metric, []).append(None if metric in wanted else "not among the `metrics` asked for")
    if asked_for is not None:
        _check_wanted(asked_for, list(reasons), tables)
    # A column that varies in one file is a metric in all of them, even where it is constant.
    left_out = {metric: found[0] for metric, found in reasons.items() if found[0] and all(found)}
    for metric in reasons:
        if metric == UNNAMED and metric not in left_out:
            names = [table.name for table in tables if metric in table.metrics]
            raise DataError(f"{names[0]}: a column of numbers has no name: name it in the first line")
    return left_out


def _check_wanted(wanted: Sequence[str], found: Sequence[str], tables: Sequence[TableFile]) -> None:
    missing = [metric for metric in wanted if column_name(metric) not in found]
    if not missing:
        return
    for table in tables:
        for column in table.columns:
            if column_name(column.name) == column_name(missing[0]):
                raise DataError(
                    f"{table.name}: column {quoted(column.name)}, which `metrics` names, serves as no metric "
                    f"({column.role}: {column.why}): name another"
                )
    raise DataError(f"no column {shortened(missing)}, which `metrics` names; found {shortened(found)}")


def find_origins(table: TableFile, left_out: dict[str, str]) -> pl.DataFrame:
    """The origins of a table's rows, as of `contributions.ORIGINS`."""
    serves = bool(table.prices) or any(metric not in left_out for metric in table.metrics)
    return origins_of(table.name, table.rows, serves=serves)


def judged(column: Column, left_out: dict[str, str]) -> Column:
    why = left_out.get(column_name(column.name)) if column.role == "metric" else None
    return replace(column, role="left out", why=why) if why else column


def keep_symbols(prices: pl.DataFrame, symbols: Sequence[str]) -> pl.DataFrame:
    found = prices["symbol"].unique().sort().to_list()
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(f"no prices of {shortened(missing)}, which `symbols` names; found {shortened(found)}")
    return prices.filter(pl.col("symbol").is_in(symbols))


def check_coverage(prices: pl.DataFrame, onchain: pl.DataFrame) -> None:
    """Refuse a symbol that lacks a metric: every metric is a feature of every example, so it would have no examples."""
    priced = prices["symbol"].unique()
    strangers = onchain.filter(~pl.col("symbol").is_in(priced.implode()))["symbol"].unique().sort().to_list()
    if strangers:
        raise DataError(
            f"metrics of {shortened(strangers)} have no prices to go with: name the symbols alike (a file without a "
            "symbol column is named after its stem), or choose with `symbols`"
        )
    counts = priced.to_frame().join(
        onchain.group_by("symbol").agg(pl.exclude("symbol", "time").count()), "symbol", "left"
    )
    for metric in onchain.columns[2:]:
        without = counts.filter(pl.col(metric).fill_null(0) == 0)["symbol"].sort().to_list()
        if without:
            raise DataError(
                f"no values of metric {metric} for {len(without)} of {len(priced)} symbols, such as {without[0]}: give "
                "them, or choose with `symbols` or `metrics`"
            )
