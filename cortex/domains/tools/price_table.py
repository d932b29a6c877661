"""Daily closes of several symbols, as they were known on a day: nothing later is ever told."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.domains.tools.tool_calls import CallError


@dataclass(frozen=True)
class PriceTable:
    """Closes by symbol and day. Every symbol has the same days, in their order."""

    days: Sequence[str]
    """Names of all days, those without trading included: dates, or numbers in the compact style."""
    open: Sequence[bool]
    """The days with trading."""
    closes: Mapping[str, Sequence[str]]
    """Each symbol's closes, one a day, as they are told."""

    def close(self, symbol: str, day: str, today: str) -> str:
        """The close of one day.

        Raises:
            CallError: there is none, or it was not known on `today`.
        """
        if symbol not in self.closes:
            raise CallError(f"there is no symbol {symbol[:20]}")
        at = self._known(day, today)
        if not self.open[at]:
            raise CallError(f"no trading on {day}")
        return self.closes[symbol][at]

    def trading_days(self, first: str, last: str, today: str) -> str:
        """Number of days with trading from `first` to `last`, both included.

        Raises:
            CallError: a day is unknown, later than `today`, or in the wrong order.
        """
        start, end = self._known(first, today), self._known(last, today)
        if start > end:
            raise CallError(f"{first} is after {last}")
        return str(sum(self.open[start : end + 1]))

    def _known(self, day: str, today: str) -> int:
        at = self._place(day)
        if at > self._place(today):
            raise CallError(f"{day} is after today")
        return at

    def _place(self, day: str) -> int:
        try:
            return self.days.index(day)
        except ValueError:
            raise CallError(f"there is no day {day[:20]}") from None


def day_names(count: int, *, as_dates: bool) -> tuple[str, ...]:
    """Names of so many days in a row, from the first of 2024 as dates, or else from 0."""
    first = dt.date(2024, 1, 1)
    return tuple((first + dt.timedelta(days=at)).isoformat() if as_dates else str(at) for at in range(count))
