"""Contradictions of an answer with the conclusion of its own reasoning."""

import re

_CONCLUSION = re.compile(
    r"\b(?:(?:final |my |the |correct )*(?:answer|result|conclusion|forecast|verdict|prediction|choice)"
    r"(?: (?:is|must be|should be|will be|would be)(?: that)?|:| =)"
    r"|(?:i|we) (?:conclude|answer|predict|forecast|decide)(?: that| on|:)?)"
    r"\s*(?P<said>[^.;\n<]{1,80}(?:\.\d[^.;\n<]{0,40})?)",
    re.IGNORECASE,
)
"""A statement of the conclusion, up to its sentence's end."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\$?\d[\d,]{0,14}(?:\.\d{1,9})?(?![\w])")
_WORD = re.compile(r"\b[a-z]+\b")
_FORM = re.compile(r"</?\w{1,20}>")

OPPOSITES = (
    ("yes", "no"),
    ("true", "false"),
    ("up", "down"),
    ("rise", "fall"),
    ("higher", "lower"),
    ("increase", "decrease"),
    ("buy", "sell"),
    ("bullish", "bearish"),
    ("valid", "invalid"),
    ("possible", "impossible"),
)
_NEGATION = re.compile(r"\b(?:not|never|isn't|won't|doesn't|cannot|neither|unlikely|rather than|instead of)\b")


def contradiction(answer: str) -> tuple[str, str] | None:
    """The reasoning's last stated conclusion and the answer, where the two exclude one another; None otherwise.

    Only plain cases are told: a number that the answer's numbers do not hold, or one of two opposite words of which the
    answer has the other. A conclusion with a negation is left alone, and so is an answer without reasoning.
    """
    reasoning, mark, said = answer.rpartition("</think>")
    stated = [match["said"].strip() for match in _CONCLUSION.finditer(reasoning)]
    if not mark or not stated or not said.strip():
        return None
    last, final = stated[-1], _FORM.sub(" ", said).strip()
    if _NEGATION.search(last.lower()):
        return None
    return (last, final) if _excludes(last, final) else None


def _excludes(stated: str, final: str) -> bool:
    numbers, answered = _numbers(stated), _numbers(final)
    if len(numbers) == 1 and answered:
        # A percent and a probability are the same number, written in two ways.
        value = next(iter(numbers))
        return not any(abs(value * scale - other) < 1e-9 for other in answered for scale in (1, 0.01, 100))
    words, answer = set(_WORD.findall(stated.lower())), set(_WORD.findall(final.lower()))
    return any(
        mine in words and other not in words and other in answer and mine not in answer
        for pair in OPPOSITES
        for mine, other in (pair, pair[::-1])
    )


def _numbers(text: str) -> set[float]:
    return {float(match.replace(",", "").replace("$", "")) for match in _NUMBER.findall(text)}
