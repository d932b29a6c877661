"""Retries of requests to a store: jittered backoff under one total deadline."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Listener(Protocol):
    """Hears of retries, from any thread; one listener may serve many calls."""

    def failing(self, error: Exception) -> None:
        """Note that a call failed and will be retried."""
        ...

    def answered(self) -> None:
        """Note that a call that had failed was answered."""
        ...


@dataclass(frozen=True)
class Patience:
    """A schedule of retries. The n-th wait is drawn uniformly from zero to `first * 2**n`, at most `longest` seconds.

    Formula: "full jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    deadline: float = 300.0
    """Seconds from the first attempt after which no further one is begun; infinity retries without end."""

    first: float = 0.2
    longest: float = 15.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)
    listener: Listener | None = None

    def wait_after(self, attempt: int) -> float:
        """Seconds to wait after a failed attempt; the first attempt is 1."""
        return self.rng.uniform(0, min(self.longest, self.first * 2 ** min(attempt, 30)))

    def persist(
        self,
        call: Callable[[], Result],
        errors: type[Exception],
        should_retry: Callable[[Exception, int], bool],
        on_retry: Callable[[Exception, float], None],
    ) -> Result:
        """Call until it returns, retrying after `errors`.

        `should_retry` gets an error and the number of its attempt, from 1. `on_retry` gets every error that is retried,
        and the seconds until then.
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
                if not should_retry(error, attempt) or self.clock() + wait > end:
                    raise
                if self.listener:
                    self.listener.failing(error)
                on_retry(error, wait)
                self.sleep(wait)
