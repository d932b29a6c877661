"""What is forecast: so much computing, by a deadline, on machines that cost and start like these."""

import math
from dataclasses import dataclass

from cortex.errors import UsageError

LONGEST = 366 * 24 * 3600.0
"""Seconds: no job is longer, which also catches hours that were given as seconds."""


@dataclass(frozen=True)
class Job:
    """One job that can be stopped and continued. Times are seconds."""

    work: float
    """Of computing on one machine, without the saving of checkpoints."""
    deadline: float
    """From the start of the job to its end."""
    restart: float
    """From the asking for a machine until it computes: boot, image, weights. It is paid for like the rest."""
    interval: float
    """Of work between checkpoints."""
    save: float
    """For which computing stands still at each checkpoint."""
    spot: float
    """Dollars an hour of a machine that may be taken back."""
    on_demand: float
    """Dollars an hour of one that may not."""

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
        """Seconds from one checkpoint to the next, as `total` counts them."""
        return self.interval + self.save

    @property
    def shortest(self) -> float:
        """Seconds from start to end on a machine that is never taken."""
        return self.restart + self.total


def _bounded(name: str, seconds: float, *, positive: bool) -> None:
    if not math.isfinite(seconds) or seconds > LONGEST or seconds < 0 or (positive and seconds == 0):
        raise (
            UsageError(f"{name} is {seconds / 3600:g} hours: give more than 0, and at most a year")
            if positive
            else (UsageError(f"{name} is {seconds / 3600:g} hours: give 0 or more, and at most a year"))
        )
