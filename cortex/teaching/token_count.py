"""Tokens of a text, counted without the provider's tokenizer, which is not on this machine."""

import re
from collections.abc import Iterable

from cortex.domains.question import Conversation

LETTERS, DIGITS = 6, 3
"""Most letters and digits of a piece that counts as one token, as in the vocabularies of current models."""
OVERHEAD = 4
"""Tokens of a chat template around each message."""

ASSUMPTION = (
    f"a token for each {LETTERS} letters of a word, each {DIGITS} digits, each sign, each letter beyond ASCII; "
    f"{OVERHEAD} for each message"
)

_PIECE = re.compile(rf"[a-zA-Z]{{1,{LETTERS}}}|[0-9]{{1,{DIGITS}}}|\n+|[^\sa-zA-Z0-9]")


def count_tokens(messages: Conversation) -> int:
    """Tokens of a request, by `ASSUMPTION`: usually within a fifth of a provider's own count."""
    return sum(OVERHEAD + len(_PIECE.findall(message.content)) for message in messages)


def mean(values: Iterable[int]) -> float | None:
    """The mean; None of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else None
