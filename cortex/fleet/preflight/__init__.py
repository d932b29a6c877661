"""What is looked at before money is spent: a module a check, all asked at once, all reported at once."""

from cortex.fleet.preflight.all_checks import preflight
from cortex.fleet.preflight.finding import Finding

__all__ = ["Finding", "preflight"]
