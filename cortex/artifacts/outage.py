"""A store that does not answer for a while: told of at once, then every minute, and when it is over."""

import threading
import time
from collections.abc import Callable

HOLD_OUT = 6 * 3600.0
"""Seconds for which a bucket is asked to take a stage's artifact: a bad outage of a whole region lasts as long.
Making the artifact again would cost as much machine time, and need the same bucket. A release is tried without end:
all that the run has cost is in it, and when its stage ends, its machine goes."""


class Outage:
    """Hears of every call that is tried again (`Patience.listener`), from any thread, and tells what lasts.

    `told` gets the seconds since the first failure, and the newest reason: when it has lasted for `after` seconds, and
    every `every` seconds from then on. `over` gets how long it was; of what lasted less than `after` nothing is told.
    """

    def __init__(
        self,
        told: Callable[[float, str], None],
        over: Callable[[float], None],
        *,
        after: float = 10.0,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told, self._over, self._after, self._every, self._clock = told, over, after, every, clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last: float | None = None

    def failing(self, error: Exception) -> None:
        """A call failed, and will be made again."""
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since = now
            due = self._since + self._after if self._last is None else self._last + self._every
            if now >= due:
                self._last = now
                self._told(now - self._since, str(error).strip().partition("\n")[0][:300])

    def answered(self) -> None:
        """A call that had failed was answered."""
        with self._lock:
            since, told, self._since, self._last = self._since, self._last is not None, None, None
            if since is not None and told:
                self._over(self._clock() - since)
