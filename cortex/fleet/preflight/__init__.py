"""Checks before money is spent: one module a check; all run at the same time, and all results are reported together."""

from cortex.fleet.preflight.all_checks import preflight
from cortex.fleet.preflight.finding import Finding

__all__ = ["Finding", "preflight"]
