"""Service level objectives: the longest waits that count as good service."""

import re
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "s": 1.0}
_BOUND = re.compile(r"(?P<key>[a-z0-9]+)=(?P<amount>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[A-Za-z]*)")
KEYS = ("ttft", "itl", "e2e")


@dataclass(frozen=True)
class Objective:
    """Bounds in seconds; None where there is none."""

    ttft: float | None = None
    """From the request to its first token."""
    itl: float | None = None
    """Between two tokens, as the mean over the request."""
    e2e: float | None = None
    """From the request to the end of its answer."""

    def to_json(self) -> dict[str, float]:
        """The bounds that are set, in seconds."""
        return {key: value for key in KEYS if (value := getattr(self, key)) is not None}


def read_objective(text: str) -> Objective:
    """An objective from `ttft=500ms,itl=50ms`.

    Raises:
        ValueError: a part of it is no bound, has an unknown name or unit, is 0, or is given twice.
    """
    bounds: dict[str, float] = {}
    for part in text.split(","):
        found = _BOUND.fullmatch(part.strip())
        if not found:
            raise ValueError(f"{part[:60]!r} is no bound: write them as ttft=500ms,itl=50ms")
        key, unit = found["key"], found["unit"]
        if key not in KEYS:
            raise ValueError(f"{part[:60]!r} bounds the unknown {key[:20]!r}: known are {', '.join(KEYS)}")
        if unit not in _UNITS:
            raise ValueError(f"{part[:60]!r} has the unknown unit {unit[:20]!r}: write ms or s, as in {key}=500ms")
        if key in bounds:
            raise ValueError(f"{key} is bounded twice in {text[:60]!r}: give one bound")
        bounds[key] = float(found["amount"]) * _UNITS[unit]
        if not bounds[key]:
            raise ValueError(f"{part[:60]!r} is a bound of 0, which no server can keep: write one above 0")
    return Objective(**bounds)
