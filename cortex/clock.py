"""A clock that does not jump: what one program writes down is in order, and its durations are right."""

import time
from collections.abc import Callable


class SteadyClock:
    """Seconds since 1970 by the wall clock at its beginning, and by the monotonic clock from there on.

    A machine whose clock is set while a program runs changes nothing in what the program tells of durations. Where the
    wall clock was wrong at the beginning, all its times are wrong by as much.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._offset, self._monotonic = wall() - monotonic(), monotonic

    def __call__(self) -> float:
        return self._offset + self._monotonic()


steady_time = SteadyClock()
"""This program's."""
