"""Notes on days of a history without examples, and the reason: otherwise nobody would notice that they are missing."""

import polars as pl

from cortex.domains.markets.account import shortened
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import PRICE_FEATURES, STALE_DAYS, warmup_bars


def name_gaps(features: pl.DataFrame, config: DataConfig) -> tuple[str, ...]:
    """Notes on symbols that are too short, on breaks in prices, and on metrics that are not known on some days.

    `features` is the table of `build_features`. The first days of each symbol, which fill the windows, are no gap.
    """
    priced = features.filter(pl.all_horizontal(pl.col(PRICE_FEATURES).is_not_null()))
    return (*_too_short(features, priced, config), *_breaks(features), *_unknown_metrics(priced))


def _too_short(features: pl.DataFrame, priced: pl.DataFrame, config: DataConfig) -> list[str]:
    bars = features.group_by("symbol").len("bars").sort("bars", "symbol", descending=[True, False])
    short = bars.filter(~pl.col("symbol").is_in(priced["symbol"].unique().implode()))
    if short.is_empty():
        return []
    return [
        f"no examples of {shortened(short['symbol'].to_list())}: {short['bars'][0]} daily bars at most, and "
        f"{warmup_bars(config)} without a break fill the windows"
    ]


def _breaks(features: pl.DataFrame) -> list[str]:
    before = pl.col("date").shift(1).over("symbol").alias("before")
    breaks = features.select("symbol", "date", before).filter(
        (pl.col("date") - pl.col("before")).dt.total_days() > STALE_DAYS
    )
    if breaks.is_empty():
        return []
    symbol, first, last = breaks.row(0)
    count = "one break" if breaks.height == 1 else f"{breaks.height:,} breaks"
    return [
        f"{count} of more than {STALE_DAYS} days in prices, such as {symbol} between {last} and {first}: the windows "
        "fill anew after each"
    ]


def _unknown_metrics(priced: pl.DataFrame) -> list[str]:
    metrics = priced.columns[priced.columns.index(PRICE_FEATURES[-1]) + 1 :]
    alike: dict[tuple[int, int, str, object], list[str]] = {}
    for metric in metrics:
        unknown = priced.filter(pl.col(metric).is_null())
        if unknown.height:
            symbol, date = unknown.select("symbol", "date").row(0)
            alike.setdefault((unknown.height, unknown["symbol"].n_unique(), symbol, date), []).append(metric)
    return [
        f"no examples of {days:,} of {priced.height:,} days ({symbols} of {priced['symbol'].n_unique()} symbols), such "
        f"as {symbol} {date}, where {shortened(names)} has no value within {STALE_DAYS} days, or too few before"
        for (days, symbols, symbol, date), names in alike.items()
    ]
