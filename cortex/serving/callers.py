"""Callers of a gateway: who they are by their API key, what they may ask, and how often."""

import asyncio
import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits.limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from loguru import logger

from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.serving.api_keys import ApiKey, Scope, find_key, read_keys
from cortex.serving.refusals import Refusal

ANYONE = "anyone"
"""The caller's id where a gateway asks for no keys."""

_BEARER = HTTPBearer(auto_error=False, description="An API key of `cortex apikey add`.")


@dataclass(frozen=True)
class Caller:
    """Somebody whose request may be answered."""

    id: str


@dataclass
class Access:
    """The keys of a gateway, read from its bucket again and again."""

    store: Store | None
    """None for a gateway on this machine alone, which asks for no keys."""
    keys: dict[str, ApiKey] = field(default_factory=dict[str, ApiKey])
    tokens: Counter[str] = field(default_factory=Counter[str])
    """Tokens asked and answered, by caller, since the gateway started."""
    dollars: defaultdict[str, float] = field(default_factory=lambda: defaultdict[str, float](float))
    """Price of these tokens, by caller."""

    def __post_init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def read(self) -> None:
        """Read the keys again.

        Raises:
            DataError: the bucket does not answer, or holds a damaged record.
        """
        if self.store is not None:
            self.keys = read_keys(self.store)

    async def keep_reading(self, seconds: float) -> None:
        """Read the keys at this interval, until cancelled. Through an outage of the bucket the last ones count."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(self.read)
            except DataError as error:
                logger.warning(f"API keys: those read last still count: {error}")

    def caller(self, text: str | None, *scopes: Scope) -> Caller:
        """The caller who shows this key, which is for one of these scopes.

        Raises:
            Refusal: 401 for no key, or none that counts; 403 for one of another scope; 429 for too many requests.
        """
        if self.store is None:
            return Caller(ANYONE)
        key = find_key(text, self.keys) if text else None
        if key is None:
            raise Refusal(401, "send an API key that counts, as `Authorization: Bearer <key>`")
        if not set(scopes) & set(key.scopes):
            raise Refusal(403, f"this API key is for {', '.join(key.scopes)}, not for {' or '.join(scopes)}")
        rate = RateLimitItemPerMinute(key.per_minute)
        if not self._limiter.hit(rate, key.id):
            reset = self._limiter.get_window_stats(rate, key.id).reset_time
            wait = max(1, math.ceil(reset - time.time()))
            raise Refusal(429, f"this API key may ask {key.per_minute} times a minute", retry_after=wait)
        return Caller(key.id)


def _caller_for(*scopes: Scope) -> Any:
    """A dependency that finds the caller, and lets none pass who may not ask for this."""

    async def dependency(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        access: Access = request.app.state.access
        caller = access.caller(given.credentials if given else None, *scopes)
        request.state.caller = caller.id
        return caller

    return Depends(dependency)


DomainCaller = Annotated[Caller, _caller_for("domains")]
ChatCaller = Annotated[Caller, _caller_for("chat")]
MetricsCaller = Annotated[Caller, _caller_for("metrics")]
FeedbackCaller = Annotated[Caller, _caller_for("feedback", "domains")]
