"""A pace of requests: at most so many a minute, spread evenly."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Lets callers pass one by one. A service's own limit answers 429, which costs more time than waiting here."""

    per_minute: float = 600
    _next: float = field(default=0.0, init=False)

    async def wait(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + 60 / self.per_minute
        await asyncio.sleep(turn - now)
