"""Made-up spot traces with the statistics of published ones, for who has none of his own.

A zone is up and down by turns; the runs' lengths are independent and follow Weibull's distribution with a shape
below 1: most runs end within the hour, a few last for days. Fitted to the availability of one V100 (p3.2xlarge) in nine
zones of AWS over 45 days from 15 February 2023, published with "Can't Be Late: Optimizing Spot Instance Savings under
Deadlines" (Wu et al., NSDI 2024; github.com/skypilot-org/spot-traces): per zone, the share of time up and the mean
length of a run up; the shape is that at which the median run is a fifth to a third of the mean, as it is there.
"""

from dataclasses import dataclass
from math import gamma
from typing import Final

import numpy as np

from cortex.fleet.forecast.traces import Trace

SHAPE: Final = 0.55
TICK: Final = 195.0
"""Seconds, as in the traces it was fitted to."""


@dataclass(frozen=True)
class Zone:
    """One published zone."""

    name: str
    availability: float
    """Share of the time in which a machine was to be had."""
    up: float
    """Mean minutes of a run with one."""

    @property
    def down(self) -> float:
        """Mean minutes of a run without."""
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
    """So many groups, each with a trace of every published zone, all independent of one another."""
    return [tuple(_trace(zone, rng, days) for zone in ZONES) for _ in range(copies)]


def _trace(zone: Zone, rng: np.random.Generator, days: float) -> Trace:
    ticks = max(2, round(days * 86400 / TICK))
    means = (zone.up * 60 / TICK, zone.down * 60 / TICK)
    up = np.empty(ticks, dtype=bool)
    at, is_up = 0, bool(rng.random() < zone.availability)
    while at < ticks:
        # At least one tick, as no shorter run is seen; the mean is raised by that little only where runs are short.
        length = max(1, round(rng.weibull(SHAPE) * means[not is_up] / gamma(1 + 1 / SHAPE)))
        up[at : at + length] = is_up
        at, is_up = at + length, not is_up
    return Trace(zone.name, TICK, up)
