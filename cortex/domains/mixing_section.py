"""Mixing in a domain's section of a profile: the training examples that a run learns from, and in what proportions."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cortex.section import Section, nearest

EQUAL = "equal"
"""In place of shares: as much of each stratum as of any other."""

Shares = dict[str, Annotated[float, Field(ge=0)]]


class Mixing(Section):
    """Sampling weights of the training examples. Validation and test examples are never weighted or left out.

    Examples are drawn without replacement, as many as the weights are worth, and more of those with larger weights. A
    domain's baselines are fitted on all of them.
    """

    half_life_days: float | None = Field(default=None, gt=0, le=100_000)
    """Exponential decay: an example that is this many days older than another has half its weight. Default: age does
    not matter."""

    shares: Mapping[str, Literal["equal"] | Shares] = Field(default_factory=dict)
    """Share of the training examples for each stratum, such as `{volatility: equal}` or `{trend: {up: 1, flat: 1, down:
    2}}`. Shares are relative, and 0 leaves a stratum out. The domain's own page lists what can be named."""

    @model_validator(mode="after")
    def _mixes(self) -> Self:
        if self.half_life_days is None and not self.shares:
            raise ValueError("it changes nothing: set half_life_days or shares, or leave `mixing` out")
        for name, shares in self.shares.items():
            if not isinstance(shares, str) and not any(shares.values()):
                raise ValueError(f"shares.{name} leaves every example out: give one of them a share above 0")
        return self

    def check_strata(self, strata: Mapping[str, tuple[str, ...]]) -> None:
        """Raise ValueError where a share is of something that a domain's examples are not divided by."""
        for name, shares in self.shares.items():
            if not strata:
                raise ValueError(f"mixing.shares.{name}: this domain's examples are not divided by anything")
            if name not in strata:
                raise ValueError(f"mixing.shares: no {name!r}: {nearest(name, strata)}")
            if isinstance(shares, str):
                continue
            if unknown := next((value for value in shares if value not in strata[name]), None):
                raise ValueError(f"mixing.shares.{name}: no {unknown!r}: {nearest(unknown, strata[name])}")
            if missing := [value for value in strata[name] if value not in shares]:
                raise ValueError(f"mixing.shares.{name} gives {', '.join(missing)} no share: 0 leaves it out")
