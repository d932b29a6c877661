"""One attempt at a teacher's prompts, and what it learns of the endpoints on the way.

One reply cannot tell an endpoint that serves nobody from a single prompt that is refused. Other prompts' answers can: a
prompt is given up only if the endpoint answered another prompt that was sent after it.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from loguru import logger

from cortex.artifacts.outage import Outage
from cortex.artifacts.patience import Patience
from cortex.domains.question import Conversation
from cortex.errors import BudgetError, DataError, StageError
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.journal import Journal
from cortex.teaching.provider_pool import ProviderPool
from cortex.teaching.purse import Purse
from cortex.teaching.trial import Fault, Trial

TRIES = 5
"""Tries of a prompt whose replies cannot be read, or fail while other prompts are answered."""

IN_A_ROW = 16
"""Prompts in a row without an answer at which the endpoint, rather than the prompts, is at fault: they are asked in
random order, so even if half of them were refused for their content, this would happen once in 65,000 prompts."""

PACE = Patience(first=0.5)
"""Growing pauses between the tries of a prompt; the profile limits the time without any answer."""

LONGEST_WAIT = 120.0
"""Maximum seconds for which a Retry-After is honoured, as by OpenAI's client; then the endpoint is asked anyway."""

PUT_OFF = 2
"""Prompts under way for each request at once: while some wait for another try, others use their places."""

TOLD_AFTER = 5.0
"""Seconds without any answer before the log says so."""


def forget(
    cache: AnswerCache | None,
    endpoints: Sequence[Endpoint],
    prompts: Mapping[str, Conversation],
    seeds: Mapping[str, int],
    examples: Iterable[str],
) -> None:
    """Remove answers of no use from the cache."""
    if cache:
        cache.forget(
            cache_key(endpoint, prompts[example], seeds.get(example)) for endpoint in endpoints for example in examples
        )


def shuffled(examples: Iterable[str]) -> list[str]:
    """Examples in the order in which they are asked. Any order does that parts neighbours, which are alike and may be
    refused together; a fixed one repeats."""
    found = list(examples)
    random.Random(0).shuffle(found)
    return found


class Session:
    """One attempt at the prompts that are not settled, and what it has learned of the endpoints."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        prompts: Mapping[str, Conversation],
        journal: Journal,
        on_settled: Callable[[int, int], None],
        seeds: Mapping[str, int],
        fault: Fault | None,
        purse: Purse,
        cache: AnswerCache | None,
    ) -> None:
        self._endpoints, self._prompts, self._journal, self._on_settled = endpoints, prompts, journal, on_settled
        self._endpoint = endpoints[0]
        """The most preferred one, whose section and role messages name."""
        self._seeds, self._cache = seeds, cache
        self._pool = ProviderPool(endpoints, purse, cache, journal.add_bill)
        waiting = shuffled(example for example in prompts if example not in journal.settled)
        self._waiting = enumerate(waiting)
        self._workers = min(PUT_OFF * sum(each.concurrency for each in endpoints), len(waiting))
        self._tries = TRIES + 2 * (len(endpoints) - 1)
        self._patience = replace(PACE, deadline=self._endpoint.patience_seconds)
        self._clock = self._patience.clock
        self._outage = Outage(self._tell_outage, self._tell_over, after=TOLD_AFTER)
        self._answered_at = float("-inf")
        """Time at which a prompt was last answered."""
        self._given_up: dict[int, tuple[str, Completion, float]] = {}
        """By position: prompts without an answer, and the time of giving up; no request sent later was answered yet."""
        self._trial = Trial(fault, len(waiting), answered_before=bool(journal.settled))

    async def run(self) -> None:
        async with self._pool:
            tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
            try:
                # Not a TaskGroup, which would raise an exception group: here the first error is raised as it is.
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        self._believe(float("inf"))
        lost = Counter(each.kind for each in self._journal.settled.values() if each.kind != "answered")
        if lost:
            told = ", ".join(f"{count} {kind}" for kind, count in sorted(lost.items()))
            logger.warning(f"{self._name}: of {len(self._prompts)} prompts, {told}")

    async def _work(self) -> None:
        for position, example in self._waiting:
            if position >= self._trial.size:
                await self._trial.passed.wait()
            completion, sent = await self._settle(example)
            if completion.kind in ("answered", "truncated"):
                self._believe(sent)
                self._journal.add(example, self._prompts[example], completion)
            else:
                self._given_up[position] = example, completion, self._clock()
                self._check_row(position)
            if self._trial.failed_by(example, completion):
                self._fail_trial()
            self._on_settled(len(self._journal.settled) + len(self._given_up), len(self._prompts))

    async def _settle(self, example: str) -> tuple[Completion, float]:
        """Ask until the prompt is settled; returns the completion, and when its request was sent."""
        began = self._clock()
        attempt = blamed = 0
        section = self._endpoint.section
        while True:
            sent = self._clock()
            completion = await self._pool.complete(example, self._prompts[example], self._seeds.get(example))
            now = self._clock()
            if completion.kind == "denied":
                keys = " and ".join(dict.fromkeys(each.key_variable for each in self._endpoints))
                self._stop(
                    f"refuses: {completion.reason}", f"check {keys}, {section}.url, and that it serves this model"
                )
            if completion.kind == "spent":
                raise BudgetError(
                    f"{self._name} has cost {completion.reason}, and the budget may not cover another answer; "
                    f"{self._kept}: raise {section}.dollars or {section}.tokens, and start a new run, which gets "
                    "these answers from the cache"
                )
            if completion.kind in ("answered", "truncated"):
                self._answered_at = now
            if completion.kind in ("answered", "truncated", "refused"):
                self._outage.answered()
                return completion, sent
            attempt += 1
            others_answered = self._answered_at > began
            blamed += completion.kind == "odd" or (completion.kind == "failing" and others_answered)
            if blamed == self._tries:
                return completion, sent
            wait = max(self._patience.wait_after(attempt), min(completion.retry_after, LONGEST_WAIT))
            if completion.kind != "odd":
                left = max(began, self._answered_at) + self._patience.deadline - now
                if left <= 0:
                    quiet = f"has answered nobody for {self._patience.deadline:g} s: {completion.reason}"
                    self._stop(quiet, f"wait until it answers, or raise {section}.patience_seconds")
                wait = min(wait, left)
                self._outage.failing(StageError(completion.reason))
            await asyncio.sleep(wait)

    def _believe(self, sent: float) -> None:
        """A request sent at `sent` was answered: the prompts given up before then are at fault themselves."""
        for position, (example, completion, known) in list(self._given_up.items()):
            if known <= sent:
                self._journal.add(example, self._prompts[example], completion)
                del self._given_up[position]

    def _check_row(self, position: int) -> None:
        first = last = position
        while first - 1 in self._given_up:
            first -= 1
        while last + 1 in self._given_up:
            last += 1
        if last - first + 1 >= IN_A_ROW:
            reason = self._given_up[position][1].reason
            self._stop(
                f"answers no more: {IN_A_ROW} prompts in a row without an answer, the last: {reason}",
                "see what its provider says",
            )

    def _fail_trial(self) -> NoReturn:
        if self._trial.silent:
            self._stop(self._trial.describe_silence(), "check teacher.url and teacher.model")
        forget(self._cache, self._endpoints, self._prompts, self._seeds, self._trial.examples)
        what, fix = self._trial.describe(self._endpoint.max_tokens)
        count = len(self._trial.examples)
        raise DataError(f"{self._name}: of its first {count} replies, {what}; {self._kept}: {fix}, and start a new run")

    def _stop(self, what: str, fix: str) -> NoReturn:
        raise StageError(f"{self._name} {what}; {self._kept}: {fix}, then run the same command again")

    @property
    def _name(self) -> str:
        if len(self._endpoints) > 1:
            return f"{self._endpoint.role} ({', '.join(each.name for each in self._endpoints)})"
        return f"{self._endpoint.role} {self._endpoint.model} at {self._endpoint.url}"

    @property
    def _kept(self) -> str:
        return f"{len(self._journal.settled)} of {len(self._prompts)} answers are kept"

    def _tell_outage(self, seconds: float, reason: str) -> None:
        logger.warning(
            f"{self._name} has answered nobody for {seconds:.0f} s ({reason}); it is asked on, for up to "
            f"{self._patience.deadline:g} s ({self._endpoint.section}.patience_seconds)"
        )

    def _tell_over(self, seconds: float) -> None:
        logger.info(f"{self._name} answers again, after {seconds:.0f} s")
