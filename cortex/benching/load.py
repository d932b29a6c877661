"""Load on one endpoint: a fixed number of requests at a time, or a fixed rate of arrivals."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx2

from cortex.benching.bench_target import BenchTarget
from cortex.benching.load_levels import Level
from cortex.benching.request_record import RequestRecord
from cortex.benching.stream_request import Ask, send
from cortex.domains.question import Conversation


@dataclass(frozen=True)
class Burst:
    """The measured requests of one level on one endpoint."""

    records: tuple[RequestRecord, ...]
    seconds: float
    """From the first request to the end of the last answer."""
    client_share: float
    """Processor time of this program, as a share of `seconds`: near 1 it was the limit, not the server."""


async def run_burst(
    client: httpx2.AsyncClient,
    target: BenchTarget,
    level: Level,
    prompts: Sequence[Conversation],
    ask: Ask,
    seed: int,
) -> Burst:
    """Send all prompts at one level, and wait for every answer."""
    processor, begun = time.process_time(), time.perf_counter()
    if level.concurrency:
        records = await _at_concurrency(client, target, level.concurrency, prompts, ask)
    else:
        records = await _at_rate(client, target, level.rate or 1.0, prompts, ask, seed)
    seconds = time.perf_counter() - begun
    return Burst(tuple(records), seconds, (time.process_time() - processor) / seconds)


async def _at_concurrency(
    client: httpx2.AsyncClient, target: BenchTarget, places: int, prompts: Sequence[Conversation], ask: Ask
) -> list[RequestRecord]:
    waiting = iter(prompts)
    records: list[RequestRecord] = []

    async def work() -> None:
        records.extend([await send(client, target, prompt, ask) for prompt in waiting])

    await asyncio.gather(*(work() for _ in range(min(places, len(prompts)))))
    return records


async def _at_rate(
    client: httpx2.AsyncClient,
    target: BenchTarget,
    rate: float,
    prompts: Sequence[Conversation],
    ask: Ask,
    seed: int,
) -> list[RequestRecord]:
    """A Poisson process. Waits count from the planned arrival, so that a client that falls behind hides none."""
    gaps = random.Random(seed)
    due = time.perf_counter()
    under_way: list[asyncio.Task[RequestRecord]] = []
    for prompt in prompts:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        under_way.append(asyncio.create_task(send(client, target, prompt, ask, due)))
        due += gaps.expovariate(rate)
    return await asyncio.gather(*under_way)
