"""Asking a teacher for all the answers that a stage needs: each is paid for once, even across restarts."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cortex.domains.domain import Domain
from cortex.domains.question import Conversation
from cortex.errors import ConfigError
from cortex.process import running
from cortex.teaching.answer_cache import AnswerCache, cache_key
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.journal import Journal, open_journal
from cortex.teaching.provider_pool import recall
from cortex.teaching.purse import Purse
from cortex.teaching.scripted_server import MODEL
from cortex.teaching.session import Session, forget, shuffled
from cortex.teaching.trial import TRIAL, Fault, usable

__all__ = ["TRIAL", "Endpoint", "Fault", "ask", "scripted_teacher"]


@contextmanager
def scripted_teacher(domain: Domain, port: int, seed: int) -> Iterator[str]:
    """Serve the scripted teacher on loopback as a program of its own; gives its URL.

    Raises:
        ConfigError: the port is taken.
    """
    command = [sys.executable, "-m", "cortex.teaching.scripted_server", "--port", str(port), "--seed", str(seed)]
    command += ["--domain", domain.model_dump_json()]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        if not re.match(r"^http://127\.0\.0\.1:\d+/v1$", url):
            why = process.stderr.read().strip().rpartition("\n")[2]
            raise ConfigError(f"the {MODEL} cannot start: {why}; set teacher.port to a free port, or to 0 for any")
        yield url


def ask(
    endpoint: Endpoint | Sequence[Endpoint],
    prompts: Mapping[str, Conversation],
    kept: Path,
    on_settled: Callable[[int, int], None],
    *,
    seeds: Mapping[str, int] | None = None,
    fault: Fault | None = None,
    purse: Purse | None = None,
    cache: AnswerCache | None = None,
) -> dict[str, Completion]:
    """The completion of each prompt, by example id. The journal `kept` stores each, so that none is paid for twice.

    Of several endpoints, in order of preference, each needs a name. `on_settled` gets the number of settled prompts
    (answered, or given up) and their total. `seeds` has one per prompt. One of the first answers must be without a
    `fault`; without that function, all are taken as they are. `purse` gets all that the journal's answers cost.

    Raises:
        StageError: the endpoint cannot be reached, or serves nothing; earlier answers are kept.
        DataError: none of its first answers can be used; earlier answers are kept.
        BudgetError: the purse has no room for another answer; earlier answers are kept.
    """
    endpoints = (endpoint,) if isinstance(endpoint, Endpoint) else tuple(endpoint)
    purse = purse or Purse()
    with open_journal(kept, prompts) as journal:
        purse.resume(journal.bills)
        if fault and not any(usable(example, each, fault) for example, each in journal.settled.items()):
            # It only holds a failed trial: the endpoint may be another one now.
            forget(cache, endpoints, prompts, seeds or {}, journal.settled)
            journal.settled.clear()

        def session(part: Mapping[str, Conversation]) -> Session:
            def on_part(done: int, _: int) -> None:
                on_settled(done, len(prompts))

            return Session(endpoints, part, journal, on_part, seeds or {}, fault, purse, cache)

        async def ask_all() -> None:
            if endpoints[0].batch:
                from cortex.teaching.batches import Batches  # its SDK takes a second to import

                recall_all(endpoints, prompts, seeds or {}, journal, cache)
                first = shuffled(example for example in prompts if example not in journal.settled)[:TRIAL]
                if fault and first and not any(usable(name, each, fault) for name, each in journal.settled.items()):
                    await session({example: prompts[example] for example in first}).run()
                await Batches(endpoints[0], prompts, seeds or {}, journal, purse, cache, on_settled).run()
            await session(prompts).run()

        if cache:
            remember(endpoints, prompts, seeds or {}, journal, cache)
        try:
            asyncio.run(ask_all())
        finally:
            if cache:
                cache.flush()
        return {example: journal.settled[example] for example in prompts}


def remember(
    endpoints: Sequence[Endpoint],
    prompts: Mapping[str, Conversation],
    seeds: Mapping[str, int],
    journal: Journal,
    cache: AnswerCache,
) -> None:
    """Put the journal's answers into the cache, which a killed attempt may have held back."""
    by_name = {endpoint.name: endpoint for endpoint in endpoints}
    for example, found in journal.settled.items():
        endpoint = by_name.get(found.provider)
        if endpoint and not found.recalled and found.kind in ("answered", "truncated"):
            cache.put(cache_key(endpoint, prompts[example], seeds.get(example)), found)


def recall_all(
    endpoints: Sequence[Endpoint],
    prompts: Mapping[str, Conversation],
    seeds: Mapping[str, int],
    journal: Journal,
    cache: AnswerCache | None,
) -> None:
    """Write the answers of earlier runs into the journal: no batch asks for them."""
    for example, prompt in prompts.items():
        if example not in journal.settled and (found := recall(endpoints, cache, prompt, seeds.get(example))):
            journal.add(example, prompt, found)
