"""Ctrl-C and its kin, which end the step under way and never the ending of what was rented."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""From the keyboard, from a program, and from a terminal that is closed."""


class Interrupts:
    """The first signal ends the step under way. While what was rented is being ended, one is answered by a sentence,
    and only one more leaves."""

    def __init__(self, way_out: str) -> None:
        """`way_out` says how that is ended which would be left standing."""
        self._way_out = way_out
        self._ending = False
        self._unheard = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # At once, in Python's main thread: a second signal must not come between the first one and the ending.
        self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin_ending(self) -> None:
        """From here on only the ending is under way."""
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
        with suppress(OSError):  # the terminal may be gone, and what is rented is still to be ended
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, words.encode())
