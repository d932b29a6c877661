"""Forecast of a run: `forecast(profile, offers)` gives hours and dollars for each way to rent its machines."""

from cortex.fleet.forecast.estimate import Estimate, estimate_from_hours, estimate_from_run, estimate_profile
from cortex.fleet.forecast.forecast import forecast
from cortex.fleet.forecast.result import Forecast, PolicyForecast, Range

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
