"""The values that a search tries: lists of choices, and ranges of numbers, by dotted key of the profile."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from cortex.errors import UsageError
from cortex.section import Section
from cortex.yaml_reader import read_yaml_value

_RANGE = re.compile(r"(?P<low>[^.,:]+(\.\d[^.,:]*)?)\.\.(?P<high>[^,:]+)(?P<log>:log)?")


class Span(Section):
    """A range of numbers, both ends included: whole numbers where both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw the logarithm evenly, as is usual for learning rates."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"runs from {self.low:g} to {self.high:g}: give the smaller number first")
        if self.log and self.low <= 0:
            raise ValueError(f"has a log scale and begins at {self.low:g}: begin above 0")
        return self

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Choices = Annotated[tuple[JsonValue, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Space = dict[str, Span | Choices]
"""Choices or a range by dotted key."""


def read_over(text: str) -> tuple[str, object]:
    """A key and its values, from `key=1,2,3`, `key=1e-5..1e-3` or `key=1e-5..1e-3:log`.

    Raises:
        UsageError: it is none of these.
        ConfigError: a value is no YAML.
    """
    key, equals, values = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise UsageError(
            f"--over {text!r} is no key=values: write sft.learning_rate=1e-4,3e-4 or sft.learning_rate=1e-5..1e-3:log"
        )
    if not values.strip():
        raise UsageError(f"--over {text!r} has no values: give some, as in {key}=1,2 or {key}=1..8")
    where = f"--over {text}"
    found = _RANGE.fullmatch(values.strip())
    if not found:
        return key, read_yaml_value(f"[{values}]", where)
    ends = {name: read_yaml_value(found[name], where) for name in ("low", "high")}
    wrong = next((end for end in ends.values() if isinstance(end, bool) or not isinstance(end, int | float)), None)
    if wrong is not None:
        raise UsageError(f"--over {text!r}: {wrong!r} is no number, and a range has two")
    return key, {**ends, "log": found["log"] is not None}


def corners(space: Space) -> dict[str, list[JsonValue]]:
    """Each key's choices, or the two ends of its range."""
    return {key: [each.low, each.high] if isinstance(each, Span) else list(each) for key, each in space.items()}


def grid_size(space: Space) -> int:
    """Number of combinations of choices; each range counts with its two ends."""
    return math.prod(len(values) for values in corners(space).values())


def is_grid(space: Mapping[str, Span | Choices]) -> bool:
    """Tell if all keys have choices, so that all combinations can be tried."""
    return not any(isinstance(each, Span) for each in space.values())
