"""Handling of Ctrl-C and similar signals: they end the current step, but not the ending of what was rented."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals from the keyboard, from a program, and from a terminal that is closed."""


class Interrupts:
    """Signal handlers of the road test. The first signal ends the current step. While rented things are being ended, a
    signal is answered by a sentence, and only the next one quits."""

    def __init__(self, way_out: str) -> None:
        """`way_out` tells the user how to end what a quit leaves behind."""
        self._way_out = way_out
        self._ending = False
        self._unheard = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Handlers run in Python's main thread, so no second signal can come between the first one and the ending.
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin_ending(self) -> None:
        """Note that the steps are over, and the ending begins."""
        self._ending = True

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True
            raise KeyboardInterrupt
        if number == signal.SIGHUP:
            return
        self._unheard += 1
        if self._unheard > 1:
            raise KeyboardInterrupt
        words = (
            f"\nending what was rented, which takes minutes; once more leaves it standing, and then {self._way_out}\n"
        )
        with suppress(OSError):  # the terminal may be gone, and the ending must go on
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, words.encode())
