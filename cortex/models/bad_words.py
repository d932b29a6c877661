"""Words that are banned from sampled answers, token by token.

A ban is on sequences of tokens: on those that a tokenizer makes of a word, at the start of a text and after a blank. A
model may still spell the word by other tokens, letter by letter; the grades of its answers see that.
"""

from collections.abc import Iterable, Sequence
from typing import Any


def spellings(words: Iterable[str]) -> list[str]:
    """Each word as it is, in lower case, with a capital, and in capitals, without blanks around it."""
    ways = (way for word in words for text in [word.strip()] for way in (text, text.lower(), text.capitalize()))
    return list(dict.fromkeys([*ways, *(word.strip().upper() for word in words)]))


def banned_tokens(words: Sequence[str], tokenizer: Any) -> list[list[int]] | None:
    """The sequences of tokens that spell the words, alone and after a blank; None where no word is banned."""
    texts = [text for way in spellings(words) for text in (way, f" {way}")]
    rows = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    return [list(row) for row in dict.fromkeys(rows) if row] or None
