"""Notes on days of a history without examples, and the reason: otherwise nobody would notice that they are missing."""

from dataclasses import dataclass, field

import polars as pl

from cortex.domains.markets.account import shortened
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.features import PRICE_FEATURES, STALE_DAYS, warmup_bars


@dataclass
class _Unknown:
    """Days on which a metric is not known, though the prices' features are."""

    days: int = 0
    symbols: int = 0
    first: tuple[str, object] | None = None
    """Symbol and date of the first such day."""


@dataclass
class Gaps:
    """Gaps of a market, counted over tables of features that hold whole histories of some symbols each."""

    config: DataConfig
    bars: dict[str, int] = field(default_factory=dict[str, int])
    """Number of daily bars of each symbol."""
    _priced: dict[str, int] = field(default_factory=dict[str, int])
    _breaks: int = 0
    _first_break: tuple[str, object, object] | None = None
    _unknown: dict[str, _Unknown] = field(default_factory=dict[str, _Unknown])

    def add(self, features: pl.DataFrame) -> None:
        """Count the gaps of further symbols. `features` is a table of `build_features`."""
        # The first days of each symbol, which fill the windows, are no gap.
        priced = features.filter(pl.all_horizontal(pl.col(PRICE_FEATURES).is_not_null()))
        self.bars |= dict(features.group_by("symbol").len().iter_rows())
        self._priced |= dict(priced.group_by("symbol").len().iter_rows())
        self._add_breaks(features)
        for metric in priced.columns[priced.columns.index(PRICE_FEATURES[-1]) + 1 :]:
            self._add_unknown(metric, priced.filter(pl.col(metric).is_null()).select("symbol", "date"))

    def notes(self) -> tuple[str, ...]:
        """Notes on symbols that are too short, on breaks in prices, and on metrics that are not known on some days."""
        return (*self._too_short(), *self._notes_on_breaks(), *self._unknown_metrics())

    def longest(self) -> tuple[str, int] | None:
        """The symbol with most daily bars, and their number; None where there are no bars."""
        return min(self.bars.items(), key=_longest_first, default=None)

    def _add_breaks(self, features: pl.DataFrame) -> None:
        before = pl.col("date").shift(1).over("symbol").alias("before")
        breaks = features.select("symbol", "date", before).filter(
            (pl.col("date") - pl.col("before")).dt.total_days() > STALE_DAYS
        )
        self._breaks += breaks.height
        if breaks.height and self._first_break is None:
            self._first_break = breaks.row(0)  # type: ignore[assignment]

    def _add_unknown(self, metric: str, days: pl.DataFrame) -> None:
        found = self._unknown.setdefault(metric, _Unknown())
        found.days += days.height
        found.symbols += days["symbol"].n_unique()
        if days.height and found.first is None:
            found.first = days.row(0)  # type: ignore[assignment]

    def _too_short(self) -> list[str]:
        short = sorted(
            ((name, bars) for name, bars in self.bars.items() if name not in self._priced), key=_longest_first
        )
        if not short:
            return []
        return [
            f"no examples of {shortened([name for name, _ in short])}: {short[0][1]} daily bars at most, and "
            f"{warmup_bars(self.config)} without a break fill the windows"
        ]

    def _notes_on_breaks(self) -> list[str]:
        if self._first_break is None:
            return []
        symbol, first, last = self._first_break
        count = "one break" if self._breaks == 1 else f"{self._breaks:,} breaks"
        return [
            f"{count} of more than {STALE_DAYS} days in prices, such as {symbol} between {last} and {first}: the "
            "windows fill anew after each"
        ]

    def _unknown_metrics(self) -> list[str]:
        alike: dict[tuple[object, ...], list[str]] = {}
        for metric, found in self._unknown.items():
            if found.first:
                alike.setdefault((found.days, found.symbols, *found.first), []).append(metric)
        priced_days = sum(self._priced.values())
        return [
            f"no examples of {days:,} of {priced_days:,} days ({symbols} of {len(self._priced)} symbols), such as "
            f"{symbol} {date}, where {shortened(names)} has no value within {STALE_DAYS} days, or too few before"
            for (days, symbols, symbol, date), names in alike.items()
        ]


def _longest_first(named: tuple[str, int]) -> tuple[int, str]:
    return -named[1], named[0]
