"""Steps of a load, as users write them: `1,2,4` requests at a time, or `0.5,1` arrivals a second."""

import re
from dataclasses import dataclass
from itertools import pairwise

MOST_AT_ONCE = 10_000
MOST_A_SECOND = 10_000.0
MOST_LEVELS = 64


@dataclass(frozen=True)
class Level:
    """One step of the load: exactly one of the two is given."""

    concurrency: int | None = None
    """Requests at a time: the next is sent when one ends."""
    rate: float | None = None
    """Mean arrivals a second, at random times, whatever is still under way."""

    @property
    def label(self) -> str:
        return str(self.concurrency) if self.concurrency else f"{self.rate:g}/s"

    def requests(self) -> int:
        """Requests that measure it where nobody says: enough that its beginning and end weigh little."""
        return max(32, 8 * self.concurrency) if self.concurrency else 64

    def to_json(self) -> dict[str, float | int]:
        return {"concurrency": self.concurrency} if self.concurrency else {"rate": self.rate or 0.0}


@dataclass(frozen=True)
class Levels:
    """The steps of one bench, rising."""

    steps: tuple[Level, ...]


def read_concurrencies(text: str) -> Levels:
    """Numbers of requests at a time.

    Raises:
        ValueError: one is no whole number from 1 to `MOST_AT_ONCE`, or they do not rise.
    """
    parts = _split(text)
    if not all(re.fullmatch(r"[0-9]{1,6}", part) and 1 <= int(part) <= MOST_AT_ONCE for part in parts):
        raise ValueError(f"{text[:60]!r}: write whole numbers from 1 to {MOST_AT_ONCE:,}, such as 1,2,4,8")
    _require_rise([float(part) for part in parts], text)
    return Levels(tuple(Level(concurrency=int(part)) for part in parts))


def read_rates(text: str) -> Levels:
    """Numbers of arrivals a second.

    Raises:
        ValueError: one is no number above 0 and up to `MOST_A_SECOND`, or they do not rise.
    """
    parts = _split(text)
    if not all(re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", part) and 0 < float(part) <= MOST_A_SECOND for part in parts):
        raise ValueError(f"{text[:60]!r}: write numbers above 0 and up to {MOST_A_SECOND:,.0f}, such as 0.5,1,2")
    _require_rise([float(part) for part in parts], text)
    return Levels(tuple(Level(rate=float(part)) for part in parts))


def _split(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > MOST_LEVELS:
        raise ValueError(f"{len(parts):,} steps: give at most {MOST_LEVELS}")
    return parts


def _require_rise(levels: list[float], text: str) -> None:
    if any(after <= before for before, after in pairwise(levels)):
        raise ValueError(f"{text[:60]!r} does not rise: give each step once, the smallest first")
