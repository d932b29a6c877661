"""Break-even of a training: the month in which the dollars that it saves have paid for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from cortex.benching.amounts_text import plain
from cortex.benching.monthly_cost import Volume

STEPS = tuple(Decimal(step) for step in ("0.01", "0.03", "0.1", "0.3", "1", "3", "10", "30", "100"))
"""Monthly tokens of the sensitivity, as multiples of those that were asked for."""


@dataclass(frozen=True)
class Way:
    """One way to have the requests answered."""

    name: str
    basis: str
    """Its prices, in words."""
    month: Callable[[Volume], Decimal]
    """Dollars of a month."""


@dataclass(frozen=True)
class Comparison:
    """The trained model beside another way, at one volume; all in dollars."""

    name: str
    monthly_tokens: Decimal
    training: Decimal
    own: Decimal
    """A month of the trained model."""
    other: Decimal
    """A month of the other way."""

    @property
    def saving(self) -> Decimal:
        """Dollars saved each month; below 0 where the trained model is dearer."""
        return self.other - self.own

    @property
    def months(self) -> Decimal | None:
        """Months until the savings have paid for the training; None for never."""
        return self.training / self.saving if self.saving > 0 else None

    @property
    def tokens(self) -> Decimal | None:
        """Tokens answered until then; None for never."""
        return None if self.months is None else self.months * self.monthly_tokens

    @property
    def first_year(self) -> Decimal:
        """Dollars saved in the first twelve months, after the training is paid for."""
        return 12 * self.saving - self.training

    def to_json(self) -> dict[str, Any]:
        """Dollars and months as decimals in text, since a binary fraction would round them."""
        return {
            "against": self.name,
            "monthly_tokens": plain(self.monthly_tokens),
            "own_month": plain(self.own),
            "other_month": plain(self.other),
            "monthly_saving": plain(self.saving),
            "months_to_break_even": None if self.months is None else plain(self.months),
            "tokens_to_break_even": None if self.tokens is None else plain(self.tokens, 0),
            "first_year_saving": plain(self.first_year),
        }


@dataclass(frozen=True)
class BreakEven:
    """All comparisons at the volume that was asked for, and at others around it."""

    training: Decimal
    volume: Volume
    own: Way
    others: tuple[Way, ...]
    asked: tuple[Comparison, ...]
    sensitivity: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        """The output of `cortex breakeven --json`."""
        return {
            "training": plain(self.training),
            "tokens_in": plain(self.volume.tokens_in),
            "tokens_out": plain(self.volume.tokens_out),
            "own": self.own.basis,
            "others": {way.name: way.basis for way in self.others},
            "comparisons": [one.to_json() for one in self.asked],
            "sensitivity": [one.to_json() for one in self.sensitivity],
        }


def break_even(training: Decimal, own: Way, others: Sequence[Way], volume: Volume) -> BreakEven:
    """Compare the trained model with each other way, at the volume and at its multiples by `STEPS`."""

    def compare(at: Volume) -> list[Comparison]:
        return [Comparison(way.name, at.tokens, training, own.month(at), way.month(at)) for way in others]

    around = [replace(volume, tokens=volume.tokens * step) for step in STEPS]
    return BreakEven(
        training=training,
        volume=volume,
        own=own,
        others=tuple(others),
        asked=tuple(compare(volume)),
        sensitivity=tuple(one for at in around for one in compare(at)),
    )
