"""Tokens that a provider reports for a reply, and the dollars that they cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MILLION = 1_000_000


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply, or of many."""

    input: int = 0
    output: int = 0
    """Tokens of the answer, its reasoning included."""
    cached: int = 0
    """Input tokens that the provider had in its own cache of prompts, and may bill at a lower price."""

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.input + other.input, self.output + other.output, self.cached + other.cached)


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """Price of the input that the provider had in its cache; None: that of any input."""

    def times(self, share: Decimal) -> "Price":
        """The price at a share of it, such as that of batches."""
        cached = None if self.cached is None else self.cached * share
        return Price(self.input * share, self.output * share, cached)

    def dollars(self, usage: Usage) -> Decimal:
        """The exact price of a usage: decimal, since sums of floats would differ from a bill."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input - usage.cached
        return (fresh * self.input + usage.cached * cached + usage.output * self.output) / MILLION


def read_usage(reply: dict[str, Any]) -> Usage | None:
    """The usage in a completion's body; None where it is missing or makes no sense.

    Gemini's endpoint counts thoughts in `total_tokens` alone, so what the total has beyond its parts is output.
    DeepSeek and Kimi name cached input in fields of their own.
    """
    found = reply.get("usage")
    if not isinstance(found, dict):
        return None
    given, made = _count(found.get("prompt_tokens")), _count(found.get("completion_tokens"))
    if given is None or made is None:
        return None
    total = _count(found.get("total_tokens")) or 0
    cached = next((count for place in _cached_places(found) if (count := _count(place)) is not None), 0)
    return Usage(given, max(made, total - given), min(cached, given))


def _cached_places(usage: dict[str, Any]) -> Iterator[Any]:
    details = usage.get("prompt_tokens_details")
    yield details.get("cached_tokens") if isinstance(details, dict) else None
    yield usage.get("prompt_cache_hit_tokens")
    yield usage.get("cached_tokens")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else None
