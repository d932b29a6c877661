"""The client of a teacher model: any endpoint that speaks the OpenAI chat protocol."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

from cortex.errors import BudgetError, ConfigError, StageError
from cortex.process import running
from cortex.reasoning.scripted_teacher import MODEL


@dataclass(frozen=True)
class Endpoint:
    """Where a teacher answers, and how it is asked."""

    url: str
    api_key: str
    model: str
    concurrency: int
    temperature: float
    max_tokens: int
    retries: int = 5
    """How often a request that failed on the way is sent again, with growing pauses."""


@contextmanager
def scripted_teacher(port: int, seed: int) -> Iterator[str]:
    """Serve the scripted teacher on loopback as a program of its own; gives its URL.

    Raises:
        ConfigError: the port is taken.
    """
    command = [sys.executable, "-m", "cortex.reasoning.scripted_teacher", "--port", str(port), "--seed", str(seed)]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        if not re.match(r"^http://127\.0\.0\.1:\d+/v1$", url):
            why = process.stderr.read().strip().rpartition("\n")[2]
            raise ConfigError(f"the {MODEL} cannot start: {why}; set teacher.port to a free port, or to 0 for any")
        yield url


def ask(
    endpoint: Endpoint,
    prompts: Mapping[str, str],
    kept: Path,
    on_answer: Callable[[int, int], None],
) -> dict[str, str]:
    """Answers by example id. Each is kept in the JSONL `kept` as it comes, so that none is asked, or paid, twice.

    Raises:
        StageError: the endpoint cannot be reached or refuses; what came before is kept.
    """
    answers = _read(kept, prompts)
    asyncio.run(_ask(endpoint, prompts, answers, kept, on_answer))
    return {example: answers[example] for example in prompts}


async def _ask(
    endpoint: Endpoint,
    prompts: Mapping[str, str],
    answers: dict[str, str],
    kept: Path,
    on_answer: Callable[[int, int], None],
) -> None:
    waiting = iter([(example, prompt) for example, prompt in prompts.items() if example not in answers])

    async def work(client: openai.AsyncOpenAI) -> None:
        for example, prompt in waiting:
            reply = await client.chat.completions.create(
                model=endpoint.model,
                messages=[{"role": "user", "content": prompt}],
                temperature=endpoint.temperature,
                max_tokens=endpoint.max_tokens,
            )
            text = reply.choices[0].message.content or ""
            answers[example] = text
            journal.write(json.dumps({"example_id": example, "prompt": prompt, "answer": text}) + "\n")
            on_answer(len(answers), len(prompts))

    try:
        with kept.open("a", buffering=1) as journal:
            client = openai.AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.api_key, max_retries=endpoint.retries)
            async with client, asyncio.TaskGroup() as group:
                for _ in range(endpoint.concurrency):
                    group.create_task(work(client))
    except* BudgetError as errors:
        raise errors.exceptions[0] from None  # of many requests under way, each may have come to the cap
    except* openai.OpenAIError as errors:
        first = errors.exceptions[0]
        raise StageError(
            f"the teacher {endpoint.model} at {endpoint.url}: {first}; {len(answers)} of {len(prompts)} answers are "
            "kept: run the same command again once it answers"
        ) from first


def _read(kept: Path, prompts: Mapping[str, str]) -> dict[str, str]:
    """The answers that an earlier attempt got to the same prompts; a line that a kill cut short is dropped."""
    answers: dict[str, str] = {}
    if not kept.exists():
        return answers
    data = kept.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    for line in whole.splitlines():
        row = json.loads(line)
        if prompts.get(row["example_id"]) == row["prompt"]:
            answers[row["example_id"]] = row["answer"]
    os.truncate(kept, len(whole))
    return answers
