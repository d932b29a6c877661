"""Kinds of bars: UTC days, fixings, and bars of other lengths, with their names."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Length = Literal["days", "1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]
"""`days` are UTC days, into which shorter bars are put together; any other length keeps a file's bars as they are."""


@dataclass(frozen=True)
class Bar:
    """One kind of bar. `name` and `noun` are its long and its short name, both in the singular."""

    name: str
    noun: Literal["day", "fixing", "bar"]


DAY = Bar("day", "day")
"""A UTC day."""

FIXING = Bar("fixing", "fixing")
"""A reference rate, published on working days."""

_NAMES = {"30m": "half-hour bar", "1h": "hourly bar", "1d": "daily bar"}


def bar_of(length: Length) -> Bar:
    """The bar of a length."""
    if length == "days":
        return DAY
    unit = {"m": "minute", "h": "hour"}.get(length[-1], "day")
    return Bar(_NAMES.get(length, f"{length[:-1]}-{unit} bar"), "bar")


def duration_of(length: Length) -> dt.timedelta:
    """A length as a duration."""
    if length in ("days", "1d"):
        return dt.timedelta(days=1)
    count = int(length[:-1])
    return dt.timedelta(minutes=count) if length[-1] == "m" else dt.timedelta(hours=count)
