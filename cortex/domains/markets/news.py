"""Dated texts of a decision: the newest that were known, of its symbol or of all."""

import datetime as dt

import polars as pl

from cortex.domains.markets.config import NewsConfig

NEWS = "_news"
"""The column of a decision's texts."""


def news_of(keys: pl.DataFrame, news: pl.DataFrame, config: NewsConfig) -> pl.Series:
    """For each of N decisions, by symbol and time, the lines of its texts for a prompt; empty where there are none.

    A text is known from its own stamp on, and shown for `days`. Colons and brackets are replaced, since a prompt's
    readings and an answer's blocks are told by them.
    """
    clean = pl.col("text").str.replace_all("<|>", "").str.replace_all(r"\s*:", " -").str.slice(0, config.characters)
    line = pl.format("- {} {}", pl.col("time").dt.strftime("%Y-%m-%d %H.%M"), clean)
    lines = news.select("symbol", pl.col("time").alias("known"), line.alias("line"))
    symbols = keys["symbol"].unique().to_frame()
    own = lines.drop_nulls("symbol").join(symbols, on="symbol", how="semi")
    common = lines.filter(pl.col("symbol").is_null()).drop("symbol").join(symbols, how="cross")
    known = pl.concat([own, common.select(own.columns)]).sort("known", "line")
    known = known.with_columns(pl.int_range(pl.len()).over("symbol").alias("place"))
    decisions = keys.select("symbol", "time").with_row_index("row")
    newest = decisions.sort("time").join_asof(
        known.select("symbol", pl.col("known").alias("time"), "place"),
        on="time",
        by="symbol",
        strategy="backward",
        check_sortedness=False,
    )
    last = pl.col("place")
    places = newest.with_columns(pl.int_ranges(last - config.items + 1, last + 1).alias("place")).explode("place")
    shown = places.join(known, on=["symbol", "place"]).filter(
        pl.col("known") > pl.col("time") - dt.timedelta(days=config.days)
    )
    texts = shown.sort("row", "place").group_by("row").agg(pl.col("line").str.join("\n").alias("news"))
    return decisions.join(texts, on="row", how="left", maintain_order="left")["news"].fill_null("")
