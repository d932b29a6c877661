"""Detection of a hung trainer, which makes no steps although its process lives."""

import statistics
from collections import deque

from cortex.profiles.trainer_sections import HangLimit

RECENT = 50
"""Number of recent steps whose median counts as the time of a step."""


PAUSES = 3
"""Number of times the clock may restart between two steps, for waiting, validating or saving; more are a hang."""


class Watchdog:
    """Gets each step, and reports when the next is overdue. Times are in seconds of one clock, whichever."""

    def __init__(self, limit: HangLimit, now: float) -> None:
        self._hang = limit
        self._last = now
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._stepping = False
        self._pauses = 0

    @property
    def limit(self) -> float:
        """Seconds that the current step may take; before the first step and during a save, the limit of a start."""
        if not self._stepping or not self._steps:
            return self._hang.start_seconds
        return max(self._hang.least_seconds, self._hang.steps * statistics.median(self._steps))

    def step(self, now: float) -> None:
        """A step was made."""
        if self._stepping:
            self._steps.append(now - self._last)
        self._last, self._stepping, self._pauses = now, True, 0

    def pause(self, now: float) -> None:
        """Work other than a step begins, such as a save, with a time limit of its own."""
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
