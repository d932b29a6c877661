"""Notes on bars of a history without examples, and the reason: otherwise nobody would notice that they are missing."""

import datetime as dt
from dataclasses import dataclass, field

import polars as pl

from cortex.domains.markets.account import shortened
from cortex.domains.markets.bars import DAY
from cortex.domains.markets.closing import show_bar
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import PRICE_FEATURES, warmup_bars
from cortex.domains.markets.staleness import STALE_BARS, STALE_DAYS


@dataclass
class _Unknown:
    """Bars at which a metric is not known, though the prices' features are."""

    bars: int = 0
    symbols: int = 0
    first: tuple[str, dt.datetime] | None = None
    """Symbol and time of the first such bar."""


@dataclass
class Gaps:
    """Gaps of a market, counted over tables of features that hold whole histories of some symbols each."""

    config: DataConfig
    bars: dict[str, int] = field(default_factory=dict[str, int])
    """Number of bars of each symbol."""
    _priced: dict[str, int] = field(default_factory=dict[str, int])
    _breaks: int = 0
    _first_break: tuple[str, dt.datetime, dt.datetime] | None = None
    _unknown: dict[str, _Unknown] = field(default_factory=dict[str, _Unknown])

    def add(self, features: pl.DataFrame) -> None:
        """Count the gaps of further symbols. `features` is a table of `build_features`."""
        # The first bars of each symbol, which fill the windows, are no gap.
        priced = features.filter(pl.all_horizontal(pl.col(PRICE_FEATURES).is_not_null()))
        self.bars |= dict(features.group_by("symbol").len().iter_rows())
        self._priced |= dict(priced.group_by("symbol").len().iter_rows())
        self._add_breaks(features)
        for metric in priced.columns[priced.columns.index(PRICE_FEATURES[-1]) + 1 :]:
            self._add_unknown(metric, priced.filter(pl.col(metric).is_null()).select("symbol", "time"))

    def notes(self) -> tuple[str, ...]:
        """Notes on symbols that are too short, on breaks in prices, and on metrics that are not known at some bars."""
        return (*self._too_short(), *self._notes_on_breaks(), *self._unknown_metrics())

    def longest(self) -> tuple[str, int] | None:
        """The symbol with most bars, and their number; None where there are no bars."""
        return min(self.bars.items(), key=_longest_first, default=None)

    def _add_breaks(self, features: pl.DataFrame) -> None:
        before = pl.col("time").shift(1).over("symbol").alias("before")
        breaks = features.select("symbol", "time", before).filter(
            (pl.col("time") - pl.col("before")).dt.total_days() > STALE_DAYS
        )
        self._breaks += breaks.height
        if breaks.height and self._first_break is None:
            self._first_break = breaks.row(0)  # type: ignore[assignment]

    def _add_unknown(self, metric: str, unknown: pl.DataFrame) -> None:
        found = self._unknown.setdefault(metric, _Unknown())
        found.bars += unknown.height
        found.symbols += unknown["symbol"].n_unique()
        if unknown.height and found.first is None:
            found.first = unknown.row(0)  # type: ignore[assignment]

    def _too_short(self) -> list[str]:
        short = sorted(
            ((name, bars) for name, bars in self.bars.items() if name not in self._priced), key=_longest_first
        )
        if not short:
            return []
        bar = "daily bar" if self.config.bar == DAY else self.config.bar.name
        return [
            f"no examples of {shortened([name for name, _ in short])}: {short[0][1]} {bar}s at most, and "
            f"{warmup_bars(self.config)} without a break fill the windows"
        ]

    def _notes_on_breaks(self) -> list[str]:
        if self._first_break is None:
            return []
        symbol, first, last = self._first_break
        count = "one break" if self._breaks == 1 else f"{self._breaks:,} breaks"
        return [
            f"{count} of more than {STALE_DAYS} days in prices, such as {symbol} between {show_bar(last)} and "
            f"{show_bar(first)}: the windows fill anew after each"
        ]

    def _unknown_metrics(self) -> list[str]:
        alike: dict[tuple[int, int, str, dt.datetime], list[str]] = {}
        noun = self.config.bar.noun
        for metric, found in self._unknown.items():
            if found.first:
                alike.setdefault((found.bars, found.symbols, *found.first), []).append(metric)
        priced = sum(self._priced.values())
        return [
            f"no examples of {bars:,} of {priced:,} {noun}s ({symbols} of {len(self._priced)} symbols), such as "
            f"{symbol} {show_bar(time)}, where {shortened(names)} has no value within {STALE_BARS} {noun}s, or too few "
            "before"
            for (bars, symbols, symbol, time), names in alike.items()
        ]


def _longest_first(named: tuple[str, int]) -> tuple[int, str]:
    return -named[1], named[0]
