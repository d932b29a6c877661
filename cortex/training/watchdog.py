"""A trainer that makes no step is dead, whatever its process says: how long to wait before that is believed."""

import statistics
from collections import deque

from cortex.runs.trainers import HangLimit

RECENT = 50
"""Steps whose median is the time that a step takes."""


PAUSES = 3
"""How often its time begins anew between two steps: waiting for room, validating, saving. What goes on so is hung."""


class Watchdog:
    """Told of each step, it says when the next is overdue. Times are in seconds, of any one clock."""

    def __init__(self, limit: HangLimit, now: float) -> None:
        self._hang = limit
        self._last = now
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._stepping = False
        self._pauses = 0

    @property
    def limit(self) -> float:
        """How long the step under way may take: until there was one, and while a checkpoint is saved, the start's."""
        if not self._stepping or not self._steps:
            return self._hang.start_seconds
        return max(self._hang.least_seconds, self._hang.steps * statistics.median(self._steps))

    def step(self, now: float) -> None:
        """A step was made."""
        if self._stepping:
            self._steps.append(now - self._last)
        self._last, self._stepping, self._pauses = now, True, 0

    def pause(self, now: float) -> None:
        """Something is done that is no step and takes its own time, such as saving."""
        self._pauses += 1
        if self._pauses <= PAUSES:
            self._last = now
        self._stepping = False

    def resume(self, now: float) -> None:
        """Steps go on."""
        if self._pauses <= PAUSES:
            self._last = now
        self._stepping = True

    def silence(self, now: float) -> float:
        """Seconds since the last sign of life."""
        return now - self._last

    def overdue(self, now: float) -> bool:
        return self.silence(now) > self.limit
