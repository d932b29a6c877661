"""The job that an estimate replays: its work, its deadline, and the cost and start time of its machines."""

import math
from dataclasses import dataclass

from cortex.errors import UsageError

LONGEST = 366 * 24 * 3600.0
"""Most seconds of any time in a job; the limit also catches seconds that were given as hours."""


@dataclass(frozen=True)
class Job:
    """One job that can be stopped and continued. Times are seconds."""

    work: float
    """Computing on one machine, without saves of checkpoints."""
    deadline: float
    """Time from the start of the job to its deadline."""
    restart: float
    """Time from the request for a machine until it computes: boot, image, weights. It is paid for like the rest."""
    interval: float
    """Work between checkpoints."""
    save: float
    """Time for which a checkpoint pauses computing."""
    spot: float
    """Dollars an hour of a spot machine."""
    on_demand: float
    """Dollars an hour of an on-demand machine."""

    def __post_init__(self) -> None:
        for name in ("work", "interval"):
            _bounded(name, getattr(self, name), positive=True)
        for name in ("deadline", "restart", "save"):
            _bounded(name, getattr(self, name), positive=False)
        for name, price in (("spot", self.spot), ("on-demand", self.on_demand)):
            if not (math.isfinite(price) and price >= 0):
                raise UsageError(f"the {name} price is {price} dollars an hour: give a number of 0 or more")
        if self.deadline < self.shortest:
            raise UsageError(
                f"a deadline of {self.deadline / 3600:.2f} hours cannot be met: without a single preemption the job "
                f"takes {self.shortest / 3600:.2f}; give --deadline {math.ceil(self.shortest / 36) / 100:.2f} or more"
            )

    @property
    def total(self) -> float:
        """Seconds that a started machine needs for all of the work and its checkpoints."""
        return self.work * (1 + self.save / self.interval)

    @property
    def stretch(self) -> float:
        """Seconds from one checkpoint to the next, its save included."""
        return self.interval + self.save

    @property
    def shortest(self) -> float:
        """Seconds from start to end on a machine that is never preempted."""
        return self.restart + self.total


def _bounded(name: str, seconds: float, *, positive: bool) -> None:
    if not math.isfinite(seconds) or seconds > LONGEST or seconds < 0 or (positive and seconds == 0):
        raise (
            UsageError(f"{name} is {seconds / 3600:g} hours: give more than 0, and at most a year")
            if positive
            else (UsageError(f"{name} is {seconds / 3600:g} hours: give 0 or more, and at most a year"))
        )
