"""A clock that does not jump: the times that one program records are in order, and their differences are right."""

import time
from collections.abc import Callable


class SteadyClock:
    """Seconds since 1970: the wall clock's when the program starts, advanced by the monotonic clock.

    Setting the machine's clock while the program runs does not change its durations. If the wall clock was wrong at
    the start, all its times are wrong by the same amount.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._offset, self._monotonic = wall() - monotonic(), monotonic

    def __call__(self) -> float:
        return self._offset + self._monotonic()


steady_time = SteadyClock()
"""This program's clock."""
