"""Progress of a teacher's answers: their number, their cost, and the time left."""

import time
from collections.abc import Callable

from loguru import logger

from cortex.teaching.purse import Purse

EVERY_SECONDS = 15.0
"""Time between two lines of the log."""


class TeachingProgress:
    """Takes the number of settled prompts; logs a line from time to time, and gives the values for the ledger."""

    def __init__(self, purse: Purse, clock: Callable[[], float] = time.monotonic) -> None:
        self._purse, self._clock = purse, clock
        self._began = self._logged = clock()
        self._first: int | None = None

    def note(self, done: int, total: int) -> dict[str, float]:
        """Values measured at `done` of `total` prompts: dollars, and seconds left at the pace of this attempt."""
        now = self._clock()
        if self._first is None:
            self._first = done - 1
        pace = (now - self._began) / max(1, done - self._first)
        left = pace * (total - done)
        if now - self._logged >= EVERY_SECONDS:
            self._logged = now
            logger.info(f"teacher: {done:,} of {total:,} answers, {self._purse.describe()}, {_minutes(left)} left")
        return {"dollars": float(self._purse.dollars), "seconds_left": round(left, 1)}


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
