"""A teacher's answers in batches, for less money: one batch after another, each fetched once and paid once.

The order of writes makes a kill at any point safe: a batch is written down before it is created, with a key that
follows from its requests; so it is found again by its id, or at the provider by its key, even from another machine.
What a batch leaves without an answer is asked as any other prompt.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from loguru import logger

from cortex.domains.question import Conversation
from cortex.errors import StageError
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.batch_client import BatchClient, BatchRefusedError, BatchState
from cortex.teaching.batch_record import BatchEntry, BatchRecord
from cortex.teaching.chat import Endpoint, request_body
from cortex.teaching.completion import Completion, read_reply
from cortex.teaching.journal import Journal
from cortex.teaching.provider import FREE, OVERHEAD, is_other_model
from cortex.teaching.purse import Bill, Purse
from cortex.teaching.usage import Usage

BATCH_BYTES = 100 * 1024 * 1024
"""Maximum bytes of a file of requests; OpenAI takes 200 MB."""

EXPIRED = "batch_expired"
"""Code of a request for which a batch's time was too short; it costs nothing."""


class Batches:
    """The prompts of one endpoint that are asked in batches. `journal` stores the answers, `purse` pays for them."""

    def __init__(
        self,
        endpoint: Endpoint,
        prompts: Mapping[str, Conversation],
        seeds: Mapping[str, int],
        journal: Journal,
        purse: Purse,
        cache: AnswerCache | None,
        on_settled: Callable[[int, int], None],
    ) -> None:
        assert endpoint.batch
        self._endpoint, self._terms = endpoint, endpoint.batch
        self._prompts, self._seeds = prompts, seeds
        self._journal, self._purse, self._cache, self._on_settled = journal, purse, cache, on_settled
        self._price = endpoint.price.times(self._terms.share) if endpoint.price else None
        self._record = BatchRecord(journal.path.with_suffix(".batches.jsonl"))

    async def run(self) -> None:
        """Fetch the batches under way, then ask what is left in new ones, until one leaves all it has unanswered.

        Raises:
            StageError: the provider refuses a batch, or does not answer.
        """
        async with BatchClient(self._endpoint) as client:
            for entry in [each for each in self._record.entries.values() if self._is_ours(each)]:
                await self._finish(client, entry)
            failed: set[str] = set()
            while part := self._next_part(failed):
                entry = self._record.begin(self._key(part), self._endpoint.name, part)
                answered, expired = await self._finish(client, entry)
                failed |= {each for each in part if each not in self._journal.settled and each not in expired}
                if not answered:
                    return

    def _is_ours(self, entry: BatchEntry) -> bool:
        """True of a batch under way whose prompts are still the same."""
        if entry.done or entry.provider != self._endpoint.name:
            return False
        known = all(example in self._prompts for example in entry.examples)
        return known and entry.key.partition("-")[0] == self._hash(entry.examples)

    def _next_part(self, failed: set[str]) -> list[str]:
        """The prompts of the next batch: as many as its limits and the budget allow, in a fixed order."""
        part: list[str] = []
        dearest, size = Usage(), 0
        for example, prompt in self._prompts.items():
            if example in self._journal.settled or example in failed:
                continue
            given = sum(len(message.content.encode()) + OVERHEAD for message in prompt)
            dearest += Usage(given, self._endpoint.max_tokens)
            size += len(self._line(len(part), example))
            dollars = (self._price or FREE).dollars(dearest)
            if size > BATCH_BYTES or not self._purse.fits(dollars, dearest.total):
                break
            part.append(example)
            if len(part) == self._terms.requests:
                break
        return part

    async def _finish(self, client: BatchClient, entry: BatchEntry) -> tuple[int, set[str]]:
        """Create a batch unless it is there, wait for its end, and take its answers.

        Returns the number of answers, and the examples for which its time was too short.
        """
        if not entry.id:
            state = await self._find(client, entry) or await self._create(client, entry)
            self._record.note(entry, id=state.id)
        state = await self._wait(client, entry.id, len(entry.examples))
        if state.status == "failed":
            self._record.note(entry, done=True)
            raise StageError(
                f"provider {self._endpoint.name} did not take batch {entry.id}: {state.reason}: lower `batch.requests` "
                "or remove `batch`, then run the same command again"
            )
        lines = [line for file in state.files for line in await client.read(file)]
        answered, expired = self._take(entry, lines)
        self._record.note(entry, done=True)
        logger.info(
            f"batch {entry.id} of {self._endpoint.name} is {state.status}: {answered:,} of {len(entry.examples):,} "
            f"answers, {self._purse.describe()}"
        )
        return answered, expired

    async def _find(self, client: BatchClient, entry: BatchEntry) -> BatchState | None:
        """The batch at the provider, where an attempt that was killed, here or on another machine, has created it."""
        try:
            found = await client.find(entry.key)
        except BatchRefusedError as error:
            logger.warning(
                f"{error.args[0]}; a batch of these prompts that a killed attempt created is not found again"
            )
            return None
        if found:
            logger.info(f"batch {found.id} of {self._endpoint.name} was created before: it is fetched, not paid again")
        return found

    async def _create(self, client: BatchClient, entry: BatchEntry) -> BatchState:
        lines = b"".join(self._line(place, example) for place, example in enumerate(entry.examples))
        state = await client.create(await client.upload(lines), entry.key)
        logger.info(
            f"batch {state.id} of {self._endpoint.name}: {len(entry.examples):,} requests, answered within a day"
        )
        return state

    async def _wait(self, client: BatchClient, batch: str, total: int) -> BatchState:
        shown = -1
        while not (state := await client.state(batch)).ended:
            if state.done != shown:
                shown = state.done
                logger.info(f"batch {batch}: {state.status}, {state.done:,} of {total:,} requests")
            self._report()
            await asyncio.sleep(self._terms.poll_seconds)
        return state

    def _take(self, entry: BatchEntry, lines: Sequence[dict[str, Any]]) -> tuple[int, set[str]]:
        """Write the answers into the journal and pay for them; those that are there already were paid before."""
        answered, expired = 0, set[str]()
        for line in lines:
            place = str(line.get("custom_id", ""))
            example = entry.examples[int(place)] if place.isdecimal() and int(place) < len(entry.examples) else None
            if example is None:
                continue
            completion = self._read(line, entry, self._prompts[example])
            if completion.reason.startswith(EXPIRED):
                expired.add(example)
            known = self._journal.settled.get(example)
            if known or (example, entry.id) in self._journal.booked:
                answered += known is not None and known.batch == entry.id
                continue
            if completion.usage:
                self._purse.pay(Bill(completion.provider, completion.usage, completion.dollars))
            if completion.kind in ("answered", "truncated"):
                answered += 1
                self._journal.add(example, self._prompts[example], completion)
                if self._cache:
                    self._cache.put(
                        cache_key(self._endpoint, self._prompts[example], self._seeds.get(example)), completion
                    )
            elif completion.usage:
                self._journal.add_bill(example, completion)
        self._report()
        self._warn_of_odd_accounts(entry)
        return answered, expired

    def _warn_of_odd_accounts(self, entry: BatchEntry) -> None:
        """Say once of a batch that another model has answered."""
        of_batch = [each for each in self._journal.settled.values() if each.batch == entry.id]
        others = sorted({each.model for each in of_batch if is_other_model(self._endpoint.model, each.model)})
        if others:
            names = ", ".join(map(repr, others[:3]))
            logger.warning(
                f"batch {entry.id} of {self._endpoint.name} {self._endpoint.model} has answers of {names}: the "
                "name is kept beside each answer"
            )

    def _read(self, line: dict[str, Any], entry: BatchEntry, prompt: Conversation) -> Completion:
        """A line of a batch's files as the reply that it stands for, with its price."""
        response, error = line.get("response"), line.get("error")
        if isinstance(response, dict) and isinstance(status := response.get("status_code"), int):
            found = read_reply(status, json.dumps(response.get("body")).encode(), {})
        else:
            code = error.get("code") if isinstance(error, dict) else None
            found = Completion("failing", reason=EXPIRED if code == EXPIRED else f"no answer in the batch: {code}")
        usage = found.usage
        if usage is None and found.kind in ("answered", "truncated"):
            given = sum(len(message.content.encode()) + OVERHEAD for message in prompt)
            usage = Usage(given, len(found.text.encode()))
        dollars = (self._price or FREE).dollars(usage) if usage else Decimal(0)
        return replace(found, provider=self._endpoint.name, usage=usage, dollars=dollars, batch=entry.id)

    def _line(self, place: int, example: str) -> bytes:
        body = request_body(self._endpoint, self._prompts[example], self._seeds.get(example))
        asked = {"custom_id": str(place), "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(asked).encode() + b"\n"

    def _key(self, part: Sequence[str]) -> str:
        """The key of a batch. Who wants answers anew, without the cache, must not be given an earlier batch."""
        return self._hash(part) + ("" if self._cache else f"-{secrets.token_hex(8)}")

    def _hash(self, part: Sequence[str]) -> str:
        keys = [cache_key(self._endpoint, self._prompts[example], self._seeds.get(example)) for example in part]
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:48]

    def _report(self) -> None:
        self._on_settled(len(self._journal.settled), len(self._prompts))
