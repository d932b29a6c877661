"""Feeding one tracker from a thread: a slow or unreachable tracker never delays the training; it catches up later."""

import os
import threading
from collections.abc import Callable, Sequence

from loguru import logger

from cortex.tracking.curve import Point
from cortex.tracking.tracker import Tracker
from cortex.tracking.tracker_needs import hide_keys

BATCH = 100
"""Points that a tracker is given in one call."""

RETRY_SECONDS = (1.0, 5.0, 15.0, 60.0)
"""Seconds between tries to reach a failing tracker; the last one repeats."""

Told = Callable[..., None]
"""Callback for events, called as the ledger is: an event's name, then its values."""


class Feed:
    """Takes points without waiting. A thread draws them in order, after what was measured before this attempt."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Tracker],
        history: Callable[[], Sequence[Point]],
        told: Told,
        retries: Sequence[float] = RETRY_SECONDS,
    ) -> None:
        self.name = name
        self._make, self._history, self._told, self._retries = make, history, told, retries
        self._changed = threading.Condition()
        self._points: list[Point] = []
        """Points of this attempt. All are kept (a few kilobytes each), since a reopened tracker may need them again."""
        self._before: list[Point] | None = None
        self._next = 0
        """Index of the first point that is not drawn yet."""
        self._closing = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"tracker-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, point: Point) -> None:
        with self._changed:
            self._points.append(point)
            self._changed.notify_all()

    def close(self, seconds: float) -> int:
        """Draw the remaining points within so many seconds; returns the number left undrawn."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            return len(self._before or ()) + len(self._points) - self._next

    def _run(self) -> None:
        tracker: Tracker | None = None
        while True:
            try:
                if tracker is None:
                    tracker = self._opened()
                if not self._draw_next(tracker):
                    tracker.close()
                    return
            except Exception as error:  # a tracker's library may raise anything, and must never end a training
                tracker = None
                self._say_that_it_fails(error)
                with self._changed:
                    if self._closing:
                        return
                    self._changed.wait_for(
                        lambda: self._closing, self._retries[min(self._failures, len(self._retries)) - 1]
                    )

    def _opened(self) -> Tracker:
        if self._before is None:
            self._before = list(self._history())
        tracker = self._make()
        last = tracker.open()
        with self._changed:
            steps = [point.step for point in (*self._before, *self._points)]
            self._next = next((index for index, step in enumerate(steps) if step > last), len(steps))
        return tracker

    def _draw_next(self, tracker: Tracker) -> bool:
        """Wait for points, and draw them; False where none are left, and no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._next < self._count or self._closing)
            batch = [*(self._before or ()), *self._points][self._next : self._next + BATCH]
        if not batch:
            return False
        tracker.draw(batch)
        with self._changed:
            self._next += len(batch)
        if self._failures:
            self._failures = 0
            self._told("tracker_answers", tracker=self.name)
            print(f"{self.name} answers again, and is drawn up to step {batch[-1].step}", flush=True)
        return True

    @property
    def _count(self) -> int:
        return len(self._before or ()) + len(self._points)

    def _say_that_it_fails(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            reason = " ".join(hide_keys(f"{type(error).__name__}: {error}", os.environ).split())[:500]
            self._told("tracker_fails", tracker=self.name, reason=reason)
            logger.warning(f"{self.name} is not drawn ({reason}): the training goes on, and it is caught up later")
