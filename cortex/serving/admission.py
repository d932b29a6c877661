"""Admission to the engine: so many requests at a time, a short queue, and a refusal rather than a long one."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from cortex.serving.refusals import Refusal


class Admission:
    """Turns at the engine. It belongs to one event loop."""

    def __init__(self, concurrency: int, queue: int, queue_seconds: float) -> None:
        self._turns = asyncio.Semaphore(concurrency)
        self._queue, self._queue_seconds = queue, queue_seconds
        self.waiting = 0
        self.working = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Hold one turn.

        Raises:
            Refusal: 429 where the queue is full, or no turn came in time.
        """
        if self._turns.locked() and self.waiting >= self._queue:
            raise self._busy()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self.waiting -= 1
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            self._turns.release()

    def _busy(self) -> Refusal:
        return Refusal(
            429, "all turns are taken: ask again later", retry_after=max(1, math.ceil(self._queue_seconds / 2))
        )
