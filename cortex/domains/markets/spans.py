"""Stretches of time that a profile states, in days or in bars of a symbol's own history."""

from dataclasses import dataclass
from typing import Literal

from cortex.domains.markets.bars import Bar


@dataclass(frozen=True)
class Span:
    """A number of days, or of bars."""

    count: int
    unit: Literal["days", "bars"]

    def words(self, bar: Bar) -> str:
        """The span in words, such as `7 days` or `1 fixing`."""
        one = "day" if self.unit == "days" else bar.name
        return f"{self.count} {one}" + ("" if self.count == 1 else "s")

    def short(self) -> str:
        """The span in a compact prompt: `7d`, or `5b` for bars."""
        return f"{self.count}{self.unit[0]}"
