"""Reports of a store's outage: soon after it begins, then every minute, and at its end."""

import threading
import time
from collections.abc import Callable

HOLD_OUT = 6 * 3600.0
"""Seconds for which publishing a stage's artifact is retried: a bad outage of a whole region lasts that long. Making
the artifact again would cost as much machine time, and need the same bucket. Publishing a release is retried without
end: the whole cost of the run is in it, and its machine goes when its stage ends."""


class Outage:
    """Reports outages, from the retries that it hears of in any thread as a `Patience.listener`.

    `on_outage` gets the seconds since the first failure and the newest reason: once the outage has lasted for `after`
    seconds, and every `every` seconds from then on. `on_recovery` gets its length in seconds. Outages shorter than
    `after` are not reported.
    """

    def __init__(
        self,
        on_outage: Callable[[float, str], None],
        on_recovery: Callable[[float], None],
        *,
        after: float = 10.0,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_outage, self._on_recovery = on_outage, on_recovery
        self._after, self._every, self._clock = after, every, clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last: float | None = None

    def failing(self, error: Exception) -> None:
        """Note that a call failed and will be retried."""
        with self._lock:
            now = self._clock()
            if self._since is None:
                self._since = now
            due = self._since + self._after if self._last is None else self._last + self._every
            if now >= due:
                self._last = now
                self._on_outage(now - self._since, str(error).strip().partition("\n")[0][:300])

    def answered(self) -> None:
        """Note that a call that had failed was answered."""
        with self._lock:
            since, reported, self._since, self._last = self._since, self._last is not None, None, None
            if since is not None and reported:
                self._on_recovery(self._clock() - since)
