"""The language of an answer's passages, by py3langid, which knows 140 languages by their sequences of letters.

Source: M. Lui and T. Baldwin, "langid.py: an off-the-shelf language identification tool", 2012.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

PASSAGE = 100
"""Letters of a passage that is judged: of fewer, names and figures decide."""
FEWEST = 40
"""Letters of a text or of its rest from which on it is judged at all."""
SURE = 0.9
"""Probability from which on a passage counts as another language."""

_FORM = re.compile(r"<[^<>]{0,40}>|\{[^{}]{0,2000}\}|```[^`]{0,4000}```|https?://\S{1,500}")
"""Tags, JSON, code and addresses: they are in no language."""
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
_WORD = re.compile(r"[^\W\d_]+")


def foreign_passages(text: str, language: str) -> tuple[str, float] | None:
    """The commonest other language of a text, and the share of letters that stand in any other; None if all is right.

    `language` is a code of two letters, by ISO 639-1.
    """
    letters: Counter[str] = Counter()
    for passage in _passages(_FORM.sub(" ", text)):
        found, probability = _identifier().classify(passage)
        # Longer codes are dialects, extinct languages, and text in none.
        other = len(found) == 2 and found != language and probability >= SURE
        letters[found if other else language] += len(passage)
    others = {found: count for found, count in letters.items() if found != language}
    if not others:
        return None
    return max(others, key=lambda found: (others[found], found)), sum(others.values()) / letters.total()


@cache
def known_languages() -> frozenset[str]:
    """The codes of all languages that can be told."""
    return frozenset(_identifier().labels)


def _passages(text: str) -> Iterator[str]:
    """The words of whole sentences, together until they are long enough."""
    passage: list[str] = []
    length = 0
    for sentence in _SENTENCE.findall(text):
        words = _WORD.findall(sentence)
        passage += words
        length += sum(map(len, words))
        if length >= PASSAGE:
            yield " ".join(passage)
            passage, length = [], 0
    if length >= FEWEST:
        yield " ".join(passage)


@cache
def _identifier() -> Any:
    """The model, which takes a second to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
