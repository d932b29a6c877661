"""Providers in order of preference: each prompt goes to the first that answers.

A provider that is busy or out rests while the next ones are asked, one that refuses a prompt is passed over for that
prompt, and one that refuses this caller is left out.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Self

from cortex.domains.question import Conversation
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.chat import ChatClient, Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.provider import Provider
from cortex.teaching.purse import Purse

FAULTS = 2
"""Faults of one prompt at a provider after which the next provider is asked for it."""

SHORT_WAIT = 1.0
"""Seconds of a Retry-After for which a prompt waits for its provider; for a longer one it goes to the next."""

OnBill = Callable[[str, Completion], None]
"""Takes the example and a reply that does not settle it, but has its price."""


class ProviderPool:
    """Clients of all providers, to be entered before they are used."""

    def __init__(self, endpoints: Sequence[Endpoint], purse: Purse, cache: AnswerCache | None, on_bill: OnBill) -> None:
        self._endpoints, self._purse, self._cache, self._on_bill = endpoints, purse, cache, on_bill
        self._providers: list[Provider] = []
        self._clients = AsyncExitStack()
        self._faults: Counter[tuple[str, int]] = Counter()
        self._refused: defaultdict[str, dict[int, Completion]] = defaultdict(dict)

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            client = await self._clients.enter_async_context(ChatClient(endpoint))
            self._providers.append(Provider(endpoint, client, self._purse))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()

    async def complete(self, example: str, prompt: Conversation, seed: int | None) -> Completion:
        """Ask the providers in turn for one answer, each at most once; the last reply where none answers."""
        if found := recall(self._endpoints, self._cache, prompt, seed):
            return found
        asked: set[int] = set()
        last: Completion | None = None
        while (place := self._choose(example, asked)) is not None:
            provider = self._providers[place]
            asked.add(place)
            last = await provider.ask(prompt, seed)
            if last.kind in ("answered", "truncated"):
                if self._cache:
                    self._cache.put(cache_key(provider.endpoint, prompt, seed), last)
                return last
            if last.kind == "spent":
                return last
            if last.usage and last.provider:
                self._on_bill(example, last)
            if last.kind == "refused":
                self._refused[example][place] = last
            elif last.kind != "denied":
                self._faults[example, place] += 1
                soon = self._faults[example, place] < FAULTS and last.retry_after <= SHORT_WAIT
                if soon and not self._rests(place):
                    return last
        return self._unanswered(example, last)

    def _choose(self, example: str, asked: set[int]) -> int | None:
        """The provider to ask now: the most preferred one, among those with the fewest faults at this prompt."""
        usable = [
            place
            for place, provider in enumerate(self._providers)
            if place not in asked and place not in self._refused[example] and not provider.denied
        ]
        if len(self._providers) > 1:  # of a single one, each prompt finds out for itself
            usable = [place for place in usable if not self._rests(place)]
        return min(usable, key=lambda place: (self._faults[example, place] // FAULTS, place), default=None)

    def _rests(self, place: int) -> bool:
        return self._providers[place].rests_until > time.monotonic()

    def _unanswered(self, example: str, last: Completion | None) -> Completion:
        """The reply that says best why nobody has answered."""
        if len(self._providers) == 1:
            return last or self._providers[0].denied or next(iter(self._refused[example].values()))
        refused = self._refused[example]
        left = [place for place, each in enumerate(self._providers) if place not in refused and not each.denied]
        if left:
            if last and last.kind not in ("denied", "refused"):
                return last
            wait = min(self._providers[place].rests_until for place in left) - time.monotonic()
            return Completion("busy", reason="every provider left rests", retry_after=max(0.0, wait))
        if refused:
            return next(iter(refused.values()))
        return next(each.denied for each in self._providers if each.denied)


def recall(
    endpoints: Sequence[Endpoint], cache: AnswerCache | None, prompt: Conversation, seed: int | None
) -> Completion | None:
    """The answer of an earlier run, by the most preferred provider that gave one."""
    if cache is None:
        return None
    for endpoint in endpoints:
        if found := cache.get(cache_key(endpoint, prompt, seed)):
            return replace(found, provider=endpoint.name, dollars=Decimal(0), recalled=True)
    return None
