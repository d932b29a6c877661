"""Result of an estimate: ranges of hours and dollars, and the assumptions behind them."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cortex.fleet.estimate.interval import Intervals
from cortex.fleet.estimate.job import Job
from cortex.fleet.estimate.replay import Outcomes


@dataclass(frozen=True)
class Range:
    """Median and 90th percentile over the replays; infinite where the job was given up."""

    p50: float
    p90: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        # An order statistic, not an interpolation between two values, of which one may be infinite.
        low, high = np.quantile(values, (0.5, 0.9), method="inverted_cdf")
        return cls(float(low), float(high))


@dataclass(frozen=True)
class PolicyEstimate:
    """Estimate for one way to rent the machines."""

    policy: str
    hours: Range
    dollars: Range
    preemptions: Range
    lost_hours: Range
    """Hours of work that had to be done again."""
    on_demand_hours: Range
    late: float
    """Share of the replays that miss the deadline."""
    outcomes: Outcomes = field(repr=False, compare=False)

    @classmethod
    def of(cls, policy: str, outcomes: Outcomes, deadline: float) -> Self:
        return cls(
            policy=policy,
            hours=Range.of(outcomes.seconds / 3600),
            dollars=Range.of(outcomes.dollars),
            preemptions=Range.of(outcomes.preemptions),
            lost_hours=Range.of(outcomes.lost / 3600),
            on_demand_hours=Range.of(outcomes.on_demand / 3600),
            # A microsecond of tolerance for rounding errors of floating-point sums.
            late=float((outcomes.seconds > deadline + 1e-6).mean()),
            outcomes=outcomes,
        )


@dataclass(frozen=True)
class RunEstimate:
    """Estimate of a run's hours and dollars, with the assumptions behind it."""

    profile: str
    job: Job
    basis: str
    """Source of the hours of work, in words."""
    traces: str
    zones: int
    """Number of zones that the job may move between."""
    replays: int
    seed: int
    policies: tuple[PolicyEstimate, ...]
    intervals: Intervals
    saves: dict[str, float]
    """Seconds of work between the profile's checkpoints, by training stage."""

    def __getitem__(self, policy: str) -> PolicyEstimate:
        return next(found for found in self.policies if found.policy == policy)

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON; infinite values are null."""
        job, intervals = self.job, self.intervals
        return {
            "profile": self.profile,
            "basis": self.basis,
            "traces": self.traces,
            "zones": self.zones,
            "replays": self.replays,
            "seed": self.seed,
            "work_hours": job.work / 3600,
            "deadline_hours": job.deadline / 3600,
            "restart_minutes": job.restart / 60,
            "save_seconds": job.save,
            "checkpoint_minutes": job.interval / 60,
            "dollars_per_hour": {"spot": job.spot, "on_demand": job.on_demand},
            "policies": {found.policy: _policy_json(found) for found in self.policies},
            "checkpoint_intervals_minutes": {
                "between_preemptions": _finite(intervals.between_preemptions / 60),
                "young": _finite(intervals.young / 60),
                "daly": _finite(intervals.daly / 60),
                "simulated": None if intervals.simulated is None else intervals.simulated / 60,
                "profile": {stage: seconds / 60 for stage, seconds in self.saves.items()},
            },
        }


def _policy_json(found: PolicyEstimate) -> dict[str, Any]:
    ranges = ("hours", "dollars", "preemptions", "lost_hours", "on_demand_hours")
    return {
        name: {"p50": _finite(getattr(found, name).p50), "p90": _finite(getattr(found, name).p90)} for name in ranges
    } | {"late": found.late}


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
