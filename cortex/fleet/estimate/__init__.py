"""Forecast of a run: `forecast(profile, offers)` gives hours and dollars for each way to rent its machines."""

from cortex.fleet.estimate.result import Forecast, PolicyForecast, Range
from cortex.fleet.estimate.run_estimate import forecast
from cortex.fleet.estimate.work_estimate import Estimate, estimate_from_hours, estimate_from_run, estimate_profile

__all__ = [
    "Estimate",
    "Forecast",
    "PolicyForecast",
    "Range",
    "estimate_from_hours",
    "estimate_from_run",
    "estimate_profile",
    "forecast",
]
