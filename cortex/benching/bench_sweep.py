"""A bench: rising load on one endpoint or several, whose turns alternate so that all see the same machine."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx2

from cortex.benching.bench_figures import Figures, compute_figures
from cortex.benching.bench_prompts import synthetic_prompts, words_for_tokens
from cortex.benching.bench_target import BenchTarget, find_model
from cortex.benching.load import Burst, run_burst
from cortex.benching.load_levels import Level
from cortex.benching.server_memory import Memory, MemoryMeter
from cortex.benching.slo import Objective
from cortex.benching.stream_request import Ask, send
from cortex.domains.question import Conversation
from cortex.errors import ConfigError, UsageError

_WARM_UPS = 3


@dataclass(frozen=True)
class BenchPlan:
    """Parameters of a bench."""

    levels: tuple[Level, ...]
    ask: Ask
    requests: int | None = None
    """Requests of each level and endpoint; None for as many as the level needs."""
    rounds: int = 1
    """Turns of each endpoint at each level, among which its requests are divided."""
    prompts: tuple[Conversation, ...] | None = None
    """The prompts, used in turn; None for words of about `tokens_in` tokens."""
    source: str = "words"
    """Origin of the prompts, for the report."""
    tokens_in: int = 256
    objective: Objective | None = None
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """One endpoint at one level."""

    target: BenchTarget
    level: Level
    figures: Figures
    rounds: tuple[Figures, ...]
    """The same, of each round alone."""


OnLevel = Callable[[Measured], None]
"""Called with each level of each endpoint as soon as it is measured."""


async def run_bench(targets: Sequence[BenchTarget], plan: BenchPlan, on_level: OnLevel) -> list[Measured]:
    """Measure every endpoint at every level. A level at which an endpoint answered nothing well ends the sweep.

    Raises:
        ConfigError: an endpoint cannot be reached, or answers none of the first requests.
        UsageError: two endpoints have one address and one model.
    """
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(target.client()) for target in targets]
        found = [await find_model(target, client) for target, client in zip(targets, clients, strict=True)]
        labels = [target.label for target in found]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise UsageError(f"{twice} is named twice: compare endpoints that differ in address or model, as MODEL@URL")
        prompts = plan.prompts
        if prompts is None:
            words = await words_for_tokens(clients[0], found[0], plan.tokens_in, plan.ask.timeout)
            prompts = tuple(synthetic_prompts(words, _most_requests(plan), plan.seed))
        for target, client in zip(found, clients, strict=True):
            await _warm_up(client, target, prompts[:_WARM_UPS], plan.ask)
        measured: list[Measured] = []
        for level in plan.levels:
            at_level = await _measure_level(found, clients, level, replace(plan, prompts=prompts))
            for one in at_level:
                on_level(one)
            measured += at_level
            if any(one.figures.succeeded == 0 for one in at_level):
                break
        return measured


def _most_requests(plan: BenchPlan) -> int:
    return plan.requests or max(level.requests() for level in plan.levels)


async def _warm_up(client: httpx2.AsyncClient, target: BenchTarget, prompts: Sequence[Conversation], ask: Ask) -> None:
    """Let the server compile what it compiles at first, and open connections; these requests are not counted."""
    records = await asyncio.gather(*(send(client, target, prompt, ask) for prompt in prompts))
    faults = [record.fault for record in records if record.fault and record.fault.kind != "empty"]
    if len(faults) == len(records):
        fault = faults[0]
        raise ConfigError(
            f"{target.url} answers no request to {target.model!r}: {fault.kind}: {fault.detail or 'no words'}; "
            f"try one by hand, and set {target.key_variable} if it wants a key"
        )


async def _measure_level(
    targets: Sequence[BenchTarget], clients: Sequence[httpx2.AsyncClient], level: Level, plan: BenchPlan
) -> list[Measured]:
    """All rounds of one level. Every second round goes through the endpoints backwards, so that a slow drift of the
    machine favours none of them."""
    assert plan.prompts
    count = max(plan.requests or level.requests(), plan.rounds)
    prompts = [plan.prompts[index % len(plan.prompts)] for index in range(count)]
    bursts: list[list[Burst]] = [[] for _ in targets]
    memories: list[list[Memory]] = [[] for _ in targets]
    for turn in range(plan.rounds):
        order = range(len(targets)) if turn % 2 == 0 else reversed(range(len(targets)))
        for index in order:
            async with MemoryMeter(clients[index], targets[index]) as meter:
                own = prompts[turn :: plan.rounds]
                bursts[index].append(
                    await run_burst(clients[index], targets[index], level, own, plan.ask, plan.seed + turn)
                )
            memories[index].append(meter.highest)
    return [
        Measured(
            target,
            level,
            compute_figures(bursts[index], _highest(memories[index]), plan.objective),
            tuple(
                compute_figures([burst], memory, plan.objective)
                for burst, memory in zip(bursts[index], memories[index], strict=True)
            ),
        )
        for index, target in enumerate(targets)
    ]


def _highest(memories: Sequence[Memory]) -> Memory:
    return Memory(
        max((memory.bytes for memory in memories if memory.bytes is not None), default=None),
        next((memory.source for memory in memories if memory.source), None),
        max((memory.kv_cache for memory in memories if memory.kv_cache is not None), default=None),
    )
