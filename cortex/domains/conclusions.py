"""The conclusion that a reasoning states itself, to be compared with the answer that follows it.

It errs towards silence: only a plain statement in the last sentence counts, since a reasoning may well weigh an answer
that it then drops.
"""

import re

_SENTENCE_END = re.compile(r"[.!?](?=\s)|[\n;]")
_ANSWER = re.compile(
    r"\banswer\s?(?:is|:|=)\s?(?P<bare>[-+]?\d{1,15}(?:\.\d{1,15})?|yes|no|true|false)\s?[.!]?$", re.IGNORECASE
)
_BOXED = re.compile(r"\\boxed\{(?P<boxed>[^{}]{1,200})\}[\s$.!]*$")
_NUMBER = re.compile(r"[-+]?\d{1,15}(?:\.\d{1,15})?")
_WORDS = ("yes", "no", "true", "false")
_LONGEST = 500


def last_sentence(reasoning: str) -> str:
    """The last sentence, of at most 500 characters."""
    end = reasoning.rstrip()[-_LONGEST:]
    cuts = [match.end() for match in _SENTENCE_END.finditer(end) if match.end() < len(end)]
    return end[cuts[-1] :].strip() if cuts else end.strip()


def contradicts(reasoning: str, answer: str) -> bool:
    """True where the last sentence of a reasoning states another answer than the one that is given.

    Numbers are compared by value, `yes`, `no`, `true` and `false` as words; anything else could be the same answer in
    other words.
    """
    last = last_sentence(reasoning)
    boxed = _BOXED.search(last)
    stated = boxed["boxed"] if boxed else match["bare"] if (match := _ANSWER.search(last)) else None
    if stated is None:
        return False
    stated, given = stated.strip().lower(), answer.strip().lower()
    if _NUMBER.fullmatch(stated) and _NUMBER.fullmatch(given):
        return float(stated) != float(given)
    return stated in _WORDS and given in _WORDS and stated != given
