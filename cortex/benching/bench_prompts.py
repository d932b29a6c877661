"""Prompts of a bench: a dataset's own, or words of about a given number of tokens."""

import random
from pathlib import Path

import httpx2

from cortex.benching.bench_target import BenchTarget
from cortex.benching.stream_request import Ask, send
from cortex.domains.question import Conversation, Message
from cortex.errors import DataError

_TEXT = (
    "the price of a share rises when more people want to buy than to sell and falls again as soon as they change "
    "their mind about what it may be worth in a year or two from now"
)

_SHORT, _LONGER = 8, 40
"""Words of the two prompts that show how a server counts tokens."""


def dataset_prompts(folder: Path, split: str, count: int) -> list[Conversation]:
    """Evenly spaced prompts of one split of a built dataset; a short split is repeated.

    Raises:
        DataError: the folder holds no dataset, or the split is empty.
    """
    from cortex.domains.dataset import read_split
    from cortex.domains.example_columns import read_rows

    prompts = [example.messages for example in read_rows(read_split(folder, split, count))]
    if not prompts:
        raise DataError(f"{folder} has no examples in its split {split!r}: choose train, validation or test")
    return [prompts[index % len(prompts)] for index in range(count)]


def synthetic_prompts(words: int, count: int, seed: int) -> list[Conversation]:
    """Prompts of so many words; each begins in its own way, so that no cache of prefixes answers for the server."""
    rng = random.Random(seed)
    return [_prompt(words, rng) for _ in range(count)]


async def words_for_tokens(client: httpx2.AsyncClient, target: BenchTarget, tokens: int, timeout: float) -> int:
    """The number of words whose prompt has about so many tokens, as the server counts them.

    Two short prompts give the tokens of a word and those of the chat template. A server that counts no tokens is taken
    to have one for each word, and one that refuses the longer prompt to have no template.
    """
    counts: list[int] = []
    for length in (_SHORT, _LONGER):
        # The longer prompt begins with the words of the shorter one.
        record = await send(client, target, _prompt(length, random.Random(0)), Ask(max_tokens=1, timeout=timeout))
        if record.tokens_in is not None:
            counts.append(record.tokens_in)
    match counts:
        case [short, longer]:
            per_word = max((longer - short) / (_LONGER - _SHORT), 0.1)
            template = short - per_word * _SHORT
        case [short]:
            per_word, template = max(short / _SHORT, 0.1), 0.0
        case _:
            return tokens
    return max(1, round((tokens - template) / per_word))


def _prompt(words: int, rng: random.Random) -> Conversation:
    return (Message("user", " ".join(rng.choices(_TEXT.split(), k=words))),)
