"""Names of a market's regimes, by which a profile's `mixing` divides training examples."""

from collections.abc import Mapping

STRATA: Mapping[str, tuple[str, ...]] = {"volatility": ("low", "middle", "high"), "trend": ("down", "flat", "up")}
"""Divisions of a market's examples, and their strata from the lowest feature up: see `regimes.py`."""
