"""One provider of answers: its requests at once, its pace, its bills, and whether it is to be asked now."""

import asyncio
import time
from dataclasses import replace
from decimal import Decimal

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.domains.question import Conversation
from cortex.teaching.chat import ChatClient, Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.purse import Bill, Purse
from cortex.teaching.usage import Price, Usage

IN_OUTAGE = 3
"""Faults in a row, without an answer between, after which a provider rests: one in a thousand at a tenth of faults."""

USELESS = 16
"""Refusals in a row, without an answer between, after which a provider is left out: the fault is no prompt's."""

RESTS = Patience(first=1.0, longest=60.0)
"""Growing rests of a provider in an outage, while others are asked."""

LONGEST_REST = 120.0
"""Maximum seconds for which a Retry-After lets a provider rest."""

OVERHEAD = 16
"""Tokens of a chat template around each message, at most."""

FREE = Price(Decimal(0), Decimal(0))


class Provider:
    """An endpoint with what this session knows of it."""

    def __init__(self, endpoint: Endpoint, client: ChatClient, purse: Purse) -> None:
        self.endpoint = endpoint
        self.denied: Completion | None = None
        """The reply with which it shut this caller out; it is not asked again."""
        self.rests_until = 0.0
        """Time of the monotonic clock until which other providers are asked."""
        self._client, self._purse = client, purse
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._next_start = 0.0
        self._faults = self._refusals = self._rests = 0
        self._warned: set[str] = set()
        if endpoint.name and endpoint.price is None:
            self._warn("has no price in the profile: its tokens are counted, and its dollars are not")

    async def ask(self, prompt: Conversation, seed: int | None) -> Completion:
        """Send one request once there is a free slot and money for it; the reply with its price."""
        endpoint = self.endpoint
        # A tokenizer makes at most one token of a byte.
        given = sum(len(message.content.encode()) + OVERHEAD for message in prompt)
        dearest = Usage(given, endpoint.max_tokens)
        price = endpoint.price or FREE
        async with self._slots, self._purse.holding(price.dollars(dearest), dearest.total) as fits:
            if not fits:
                return Completion("spent", reason=self._purse.describe())
            await self._keep_pace(dearest)
            if self.denied:  # another request has learned it in the meantime
                return self.denied
            completion = await self._client.complete(prompt, seed)
            completion = self._with_price(completion, given)
            if completion.provider and completion.usage:
                self._purse.pay(Bill(completion.provider, completion.usage, completion.dollars))
            self._note(completion)
            return completion

    def _with_price(self, completion: Completion, given: int) -> Completion:
        endpoint = self.endpoint
        self._check_model(completion.model)
        usage = completion.usage
        if usage is None and endpoint.name and completion.kind in ("answered", "truncated"):
            self._warn("reports no usage: a byte is counted as a token, more than any tokenizer makes of it")
            usage = Usage(given, len(completion.text.encode()))
        dollars = (endpoint.price or FREE).dollars(usage) if usage else Decimal(0)
        return replace(completion, provider=endpoint.name, usage=usage, dollars=dollars)

    def _note(self, completion: Completion) -> None:
        """Learn from a reply whether the provider answers, rests or shuts this caller out."""
        if completion.kind in ("answered", "truncated"):
            self._faults = self._refusals = self._rests = 0
        elif completion.kind == "refused":
            self._faults = 0
            self._refusals += 1
            if self._refusals == USELESS and self.endpoint.name:
                self._leave_out(replace(completion, kind="denied"))
        elif completion.kind == "denied":
            self._leave_out(completion)
        else:
            self._faults += 1
            now = time.monotonic()
            if self._faults >= IN_OUTAGE and now >= self.rests_until:
                self._rests += 1
                self.rests_until = now + max(RESTS.wait_after(self._rests), min(completion.retry_after, LONGEST_REST))

    def _leave_out(self, completion: Completion) -> None:
        self.denied = self.denied or completion
        if self.endpoint.name:
            self._warn(f"is left out, and the others are asked: {completion.reason}")

    def _check_model(self, reported: str) -> None:
        if is_other_model(self.endpoint.model, reported):
            self._warn(f"answers as {reported!r}: the name is kept beside each answer")

    def _warn(self, message: str) -> None:
        """Say each thing once."""
        if message not in self._warned:
            self._warned.add(message)
            name = f"{self.endpoint.name} " if self.endpoint.name else ""
            logger.warning(f"{self.endpoint.role} {name}{self.endpoint.model} at {self.endpoint.url} {message}")

    async def _keep_pace(self, dearest: Usage) -> None:
        """Wait for the start that the limits per minute leave."""
        endpoint = self.endpoint
        gap = 60 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0
        if endpoint.tokens_per_minute:
            gap = max(gap, 60 * dearest.total / endpoint.tokens_per_minute)
        now = time.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + gap
        if start > now:
            await asyncio.sleep(start - now)


def is_other_model(asked: str, reported: str) -> bool:
    """True if a reply names another model. Snapshots add a date to the name, and routers a folder."""
    return bool(reported) and not reported.lower().rpartition("/")[2].startswith(asked.lower().rpartition("/")[2])
