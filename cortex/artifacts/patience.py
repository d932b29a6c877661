"""How long to keep asking a store that does not answer: jittered backoff under one total deadline."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Listener(Protocol):
    """Hears, from any thread, how it goes; one listener may serve many calls."""

    def failing(self, error: Exception) -> None:
        """A call failed, and will be made again."""
        ...

    def answered(self) -> None:
        """A call that had failed was answered."""
        ...


@dataclass(frozen=True)
class Patience:
    """When to try again. The n-th wait is drawn evenly from zero to `first * 2**n`, at most `longest` (seconds).

    Formula: "full jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    deadline: float = 300.0
    """Seconds from the first attempt after which no further one is begun; infinity keeps trying."""

    first: float = 0.2
    longest: float = 15.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)
    listener: Listener | None = None

    def wait_after(self, attempt: int) -> float:
        """Seconds to wait after an attempt that failed; the first attempt is 1."""
        return self.rng.uniform(0, min(self.longest, self.first * 2 ** min(attempt, 30)))

    def persist(
        self,
        call: Callable[[], Result],
        errors: type[Exception],
        worth: Callable[[Exception, int], bool],
        told: Callable[[Exception, float], None],
    ) -> Result:
        """Call until it returns. `worth` says of one of `errors` and its number, from 1, whether to try again.

        `told` hears of every error that is tried again, and of the seconds until then.
        """
        end = self.clock() + self.deadline
        attempt = 0
        while True:
            attempt += 1
            try:
                result = call()
                if self.listener and attempt > 1:
                    self.listener.answered()
                return result
            except errors as error:
                wait = self.wait_after(attempt)
                if not worth(error, attempt) or self.clock() + wait > end:
                    raise
                if self.listener:
                    self.listener.failing(error)
                told(error, wait)
                self.sleep(wait)
