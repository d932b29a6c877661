"""The options of `cortex breakeven`, as ways to have requests answered."""

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.benching.amounts_text import plain
from cortex.benching.breakeven import Way
from cortex.benching.monthly_cost import HourRate, TokenRate, Volume
from cortex.errors import UsageError

if TYPE_CHECKING:
    from cortex.benching.bench_file import BenchEndpoint, BenchLevel

    Measured = tuple[BenchEndpoint, BenchLevel] | None

UTILISATION = Decimal("0.5")
TOKENS_IN, TOKENS_OUT = Decimal(800), Decimal(200)
_FAR = Decimal("1.25")
"""Ratio of a length to the measured one, from which on the measured speed is called in question."""


@dataclass(frozen=True)
class TokenPrices:
    """The prices of `--<name>-in`, `--<name>-out` and `--<name>-cached`."""

    name: str
    dollars_in: Decimal | None
    dollars_out: Decimal | None
    dollars_cached: Decimal | None = None

    def rate(self) -> TokenRate | None:
        """The prices; None where none is given.

        Raises:
            UsageError: one of the two is missing.
        """
        if self.dollars_in is not None and self.dollars_out is not None:
            return TokenRate(self.dollars_in, self.dollars_out, self.dollars_cached)
        if self.dollars_in is None and self.dollars_out is None and self.dollars_cached is None:
            return None
        missing = "in" if self.dollars_in is None else "out"
        raise UsageError(f"--{self.name}-{missing} is missing: give the price of a million tokens in, and that of out")


@dataclass(frozen=True)
class OwnOptions:
    """The price of the trained model, in one of three ways."""

    dollars_in: Decimal | None
    dollars_out: Decimal | None
    bench: Path | None
    hourly: Decimal | None
    tokens_per_second: Decimal | None
    prompted_tokens_per_second: Decimal | None
    utilisation: Decimal | None
    always_on: bool

    def measured(self) -> "Measured":
        """The endpoint and the level of the bench; None without one.

        Raises:
            UsageError: two of the ways are mixed.
            DataError: the bench cannot be read.
        """
        by_tokens = self.dollars_in is not None or self.dollars_out is not None
        by_hour = self.hourly is not None or self.tokens_per_second is not None or self.bench is not None
        if by_tokens and (by_hour or self.utilisation is not None or self.always_on):
            raise UsageError("--own-in and --own-out are prices of tokens: leave out what describes a machine")
        if self.bench and self.tokens_per_second is not None:
            raise UsageError("--bench and --tokens-per-second both say how fast the model is: give one")
        if not self.bench:
            return None
        from cortex.benching.bench_file import read_bench

        return read_bench(self.bench)

    def hour_rate(self, measured: "Measured", speed: Decimal | None = None) -> HourRate:
        """The machine's price and speed.

        Raises:
            UsageError: one is missing.
        """
        hourly, found = self.hourly, speed or self.tokens_per_second
        if measured:
            endpoint, level = measured
            found = found or Decimal(repr(level.output_tokens_per_second))
            if hourly is None and endpoint.dollars_per_hour:
                hourly = Decimal(endpoint.dollars_per_hour)
        if hourly is None or found is None:
            raise UsageError(
                "name the trained model's price: --own-in and --own-out, or --hourly with --tokens-per-second or "
                "--bench"
            )
        return HourRate(hourly, found, self.utilisation or UTILISATION, self.always_on)


def read_volume(
    monthly: Decimal, tokens_in: Decimal | None, tokens_out: Decimal | None, measured: "Measured"
) -> Volume:
    """The month's requests: lengths as given, or as measured, or else `TOKENS_IN` and `TOKENS_OUT`."""
    level = measured[1] if measured else None
    own_in, own_out = (level.mean_in, level.mean_out) if level else (None, None)
    return Volume(monthly, tokens_in or own_in or TOKENS_IN, tokens_out or own_out or TOKENS_OUT)


def own_way(own: OwnOptions, measured: "Measured", volume: Volume) -> Way:
    """The trained model, which needs no system prompt.

    Raises:
        UsageError: its price is not given.
    """
    tokens = TokenPrices("own", own.dollars_in, own.dollars_out).rate()
    if tokens:
        return Way("trained model", _token_words(tokens), tokens.month)
    rate = own.hour_rate(measured)
    words = _hour_words(rate)
    if measured:
        endpoint, level = measured
        words += f", measured on {endpoint.endpoint} with {level.label}"
        lengths = ((volume.tokens_in, level.mean_in), (volume.tokens_out, level.mean_out))
        if any(seen and not 1 / _FAR <= asked / seen <= _FAR for asked, seen in lengths):
            seen_in = "an unknown number of" if level.mean_in is None else f"{level.mean_in:.0f}"
            words += f" and {seen_in} tokens in, {level.mean_out:.0f} out: another speed than at these lengths"
    return Way("trained model", words, rate.month)


def other_ways(
    own: OwnOptions, measured: "Measured", api: TokenPrices, larger: TokenPrices, prompt: Decimal | None
) -> list[Way]:
    """Every way that prices are given for; those without the training have the system prompt in every request.

    Raises:
        UsageError: there is none, or prices are missing.
    """
    before = prompt or Decimal(0)
    behind = f", behind a prompt of {before:,.0f} tokens" if before else ""
    ways: list[Way] = []
    for name, prices in (("API", api), ("larger model", larger)):
        if rate := prices.rate():
            ways.append(Way(name, _token_words(rate) + behind, partial(rate.month, prompt=before)))
    if prompt:
        ways.append(_prompted_way(own, measured, before, behind))
    elif own.prompted_tokens_per_second is not None:
        raise UsageError("--prompted-tokens-per-second is a speed behind a prompt: add --system-prompt TOKENS")
    if not ways:
        raise UsageError(
            "name what to compare with: --api-in and --api-out, --larger-in and --larger-out, or --system-prompt"
        )
    return ways


def _prompted_way(own: OwnOptions, measured: "Measured", prompt: Decimal, behind: str) -> Way:
    """The same model without the training."""
    name = "same model, prompted"
    if tokens := TokenPrices("own", own.dollars_in, own.dollars_out).rate():
        return Way(name, _token_words(tokens) + behind, partial(tokens.month, prompt=prompt))
    if own.prompted_tokens_per_second is None:
        raise UsageError(
            "--system-prompt on a machine of one's own needs its speed with that prompt: measure it with "
            "`cortex bench serve --tokens-in`, and give it as --prompted-tokens-per-second"
        )
    rate = own.hour_rate(measured, own.prompted_tokens_per_second)
    return Way(name, _hour_words(rate) + behind, rate.month)


def _token_words(rate: TokenRate) -> str:
    cached = "" if rate.dollars_cached is None else f", ${plain(rate.dollars_cached)} from its cache"
    return f"${plain(rate.dollars_in)} a million tokens in{cached}, ${plain(rate.dollars_out)} out"


def _hour_words(rate: HourRate) -> str:
    rented = "whole months" if rate.always_on else "the hours that it needs"
    return (
        f"${plain(rate.dollars_per_hour)} an hour for {rented}, {plain(rate.tokens_per_second, 1)} tokens a second "
        f"out, {plain(rate.utilisation * 100, 2)}% of the time"
    )
