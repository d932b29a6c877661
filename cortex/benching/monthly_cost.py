"""Dollars a month of answering requests: by the price of tokens, or by the hours of machines."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

MONTH_HOURS = Decimal(730)
"""Hours of a month: a twelfth of 365 days."""
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Volume:
    """The requests of a month."""

    tokens: Decimal
    """Tokens in and out together, without any system prompt."""
    tokens_in: Decimal
    """Tokens of one question."""
    tokens_out: Decimal
    """Tokens of one answer."""

    @property
    def requests(self) -> Decimal:
        return self.tokens / (self.tokens_in + self.tokens_out)


@dataclass(frozen=True)
class TokenRate:
    """Prices of a million tokens, in dollars."""

    dollars_in: Decimal
    dollars_out: Decimal
    dollars_cached: Decimal | None = None
    """Of a system prompt that the provider has in its cache; None where it costs as much as other tokens."""

    def month(self, volume: Volume, prompt: Decimal = Decimal(0)) -> Decimal:
        """Dollars of a month, with so many tokens of a system prompt before every question."""
        cached = self.dollars_in if self.dollars_cached is None else self.dollars_cached
        one = volume.tokens_in * self.dollars_in + volume.tokens_out * self.dollars_out + prompt * cached
        # Multiplied before it is divided, so that an amount that can be exact is exact.
        return volume.tokens * one / (volume.tokens_in + volume.tokens_out) / _MILLION


@dataclass(frozen=True)
class HourRate:
    """A machine's price, and its speed at full load."""

    dollars_per_hour: Decimal
    tokens_per_second: Decimal
    """Output tokens a second, over all requests together."""
    utilisation: Decimal
    """Share of the rented time that is used at this speed, above 0 and up to 1."""
    always_on: bool = False
    """Machines are rented for the whole month, and are whole ones; otherwise they are given back when idle."""

    def hours(self, volume: Volume) -> Decimal:
        """Rented hours of a month."""
        share = volume.tokens_out / (volume.tokens_in + volume.tokens_out)
        hours = volume.tokens * share / (self.tokens_per_second * 3600 * self.utilisation)
        if not self.always_on:
            return hours
        return (hours / MONTH_HOURS).to_integral_value(ROUND_CEILING) * MONTH_HOURS

    def month(self, volume: Volume) -> Decimal:
        """Dollars of a month. The speed holds for questions and answers of the lengths with which it was measured."""
        return self.hours(volume) * self.dollars_per_hour
