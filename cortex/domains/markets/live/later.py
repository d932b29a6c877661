"""Patience with a service: an attempt that may succeed later is made again, after a wait that grows."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

Answer = TypeVar("Answer")

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt."""
LONGEST = 120.0
"""Seconds that a service may ask for; after a longer wait it is rather asked later."""


class LaterError(Exception):
    """An attempt failed in a way that passes; `seconds` is the wait that the service asks for."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


def patiently(
    attempt: Callable[[], Answer],
    waits: Iterable[float] = WAITS,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """The attempt's answer. Raises the last LaterError once all waits are over, or where one would be too long."""
    for wait in waits:
        try:
            return attempt()
        except LaterError as error:
            asked = wait if error.seconds is None else error.seconds
            if asked > LONGEST:
                raise
            sleep(asked)
    return attempt()
