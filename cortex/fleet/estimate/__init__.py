"""Estimate of a run: `estimate_run(profile, offers)` gives hours and dollars for each way to rent its machines."""

from cortex.fleet.estimate.result import PolicyEstimate, Range, RunEstimate
from cortex.fleet.estimate.run_estimate import estimate_run
from cortex.fleet.estimate.work_estimate import WorkEstimate, estimate_from_hours, estimate_from_run, estimate_profile

__all__ = [
    "PolicyEstimate",
    "Range",
    "RunEstimate",
    "WorkEstimate",
    "estimate_from_hours",
    "estimate_from_run",
    "estimate_profile",
    "estimate_run",
]
