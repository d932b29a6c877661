"""Generated spot traces with the statistics of published ones, for users who have no traces.

Periods in which a zone has machines alternate with periods in which it has none. Their lengths are independent and
Weibull-distributed with a shape below 1: most end within an hour, a few last for days. The generator is fitted to the
availability of one V100 (p3.2xlarge) in nine zones of AWS over 45 days from 15 February 2023, published with "Can't Be
Late: Optimizing Spot Instance Savings under Deadlines" (Wu et al., NSDI 2024; github.com/skypilot-org/spot-traces):
each zone has its share of time up and its mean length of a period up; with the shape, the median period is a fifth to a
third of the mean, as in those traces.
"""

from dataclasses import dataclass
from math import gamma
from typing import Final

import numpy as np

from cortex.fleet.estimate.traces import Trace

SHAPE: Final = 0.55
TICK: Final = 195.0
"""Seconds of a tick, as in the traces that the generator is fitted to."""


@dataclass(frozen=True)
class Zone:
    """Statistics of one published zone."""

    name: str
    availability: float
    """Share of the time in which a machine was available."""
    up: float
    """Mean minutes of a period with one."""

    @property
    def down(self) -> float:
        """Mean minutes of a period without one."""
        return self.up * (1 - self.availability) / self.availability


ZONES: Final = (
    Zone("us-east-1a", 0.17, 43),
    Zone("us-east-1c", 0.47, 89),
    Zone("us-east-1d", 0.45, 100),
    Zone("us-east-1f", 0.59, 135),
    Zone("us-east-2a", 0.76, 341),
    Zone("us-east-2b", 0.68, 255),
    Zone("us-west-2a", 0.88, 364),
    Zone("us-west-2b", 0.90, 624),
    Zone("us-west-2c", 0.89, 408),
)


def generate(rng: np.random.Generator, days: float = 45.0, copies: int = 1) -> list[tuple[Trace, ...]]:
    """`copies` groups of traces, each with one trace of every published zone; all are independent."""
    return [tuple(_trace(zone, rng, days) for zone in ZONES) for _ in range(copies)]


def _trace(zone: Zone, rng: np.random.Generator, days: float) -> Trace:
    ticks = max(2, round(days * 86400 / TICK))
    means = (zone.up * 60 / TICK, zone.down * 60 / TICK)
    up = np.empty(ticks, dtype=bool)
    at, is_up = 0, bool(rng.random() < zone.availability)
    while at < ticks:
        # At least one tick, since traces show no shorter period; this raises the mean a little where periods are short.
        length = max(1, round(rng.weibull(SHAPE) * means[not is_up] / gamma(1 + 1 / SHAPE)))
        up[at : at + length] = is_up
        at, is_up = at + length, not is_up
    return Trace(zone.name, TICK, up)
