"""Tables of a market with another future: all that was not known at some time is moved, replaced or left out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from cortex.domains.audit_view import Tampering
from cortex.domains.markets.checks import OHLC
from cortex.domains.markets.source import KNOWN_AT, MarketTables


def tamper(tables: MarketTables, cut: dt.datetime, how: Tampering, seed: int, lag_days: int) -> MarketTables:
    """Tables whose rows that were known at `cut` are the same. The best forecast, which knows the market, is dropped.

    `lag_days` is the time from the close of a metric's bar until it is known, where its row does not say.
    """
    dice = np.random.default_rng(seed)
    prices = _changed(tables.prices, pl.col("time") > cut, OHLC, how, dice, positive=True)
    onchain, vintages, news = tables.onchain, tables.vintages, tables.news
    if onchain is not None:
        later = pl.col("time") + dt.timedelta(days=lag_days) > cut
        onchain = _changed(onchain, later, onchain.columns[2:], how, dice, positive=False)
    if vintages is not None:
        vintages = _changed(vintages, pl.col(KNOWN_AT) > cut, vintages.columns[3:], how, dice, positive=False)
    if news is not None:
        later = pl.col("time") > cut
        other = news.with_columns(pl.when(later).then(pl.lit("other news")).otherwise("text").alias("text"))
        news = other if how == "perturbed" else _changed(news, later, ("text",), how, dice, positive=False)
    return replace(tables, prices=prices, onchain=onchain, vintages=vintages, news=news, oracle=None)


def _changed(
    table: pl.DataFrame,
    later: pl.Expr,
    columns: Sequence[str],
    how: Tampering,
    dice: np.random.Generator,
    *,
    positive: bool,
) -> pl.DataFrame:
    if how == "truncated":
        return table.filter(~later)
    if how == "shifted":
        return table.with_columns(
            pl.when(later).then(pl.coalesce(pl.col(name).shift(-1).over("symbol"), name)).otherwise(name).alias(name)
            for name in columns
        )
    drawn = {name: _draw(dice, table.height, positive) for name in columns}
    return table.with_columns(
        # A missing value stays missing, so that the same examples have all of their features.
        pl.when(later & pl.col(name).is_not_null()).then(values).otherwise(name).alias(name)
        for name, values in drawn.items()
    )


def _draw(dice: np.random.Generator, count: int, positive: bool) -> pl.Series:
    return pl.Series(dice.lognormal(3, 1, count) if positive else dice.normal(0, 1e6, count))
