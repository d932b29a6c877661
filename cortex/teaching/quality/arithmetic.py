"""Arithmetic in a text, computed again: `12.5 - 3 = 9.5`, `20% of 50 is 10`."""

import operator
import re
from collections.abc import Callable, Iterator

_NUMBER = r"[+-]?\$?\d[\d,]{0,14}(?:\.\d{1,9})?%?"
_END = r"(?![\w%]|[.,]\d)"
# Bounded repetitions: no text, however long, takes more than linear time.
_EQUATION = re.compile(
    rf"(?<![\w.,%])(?P<left>{_NUMBER})\s?(?P<sign>[-+*/x×·÷−])\s?(?P<right>{_NUMBER})\s?(?P<equal>=|≈|equals)\s?"
    rf"(?P<result>{_NUMBER}){_END}"
)
_SHARE = re.compile(
    rf"(?<![\w.,%])(?P<left>\d[\d,]{{0,14}}(?:\.\d{{1,9}})?)\s?% of (?P<right>{_NUMBER})\s?(?P<equal>=|≈|equals|is)\s?"
    rf"(?P<result>{_NUMBER}){_END}"
)
_BEFORE = re.compile(r"[-+*/x×·÷−=(]\s?$")
"""A term before, so that the equation is a part of a longer one."""
_AFTER = re.compile(r"\s?[-+*/x×·÷−]\s?[\d$(]")
"""A term after it."""

ABOUT = 0.02
"""Relative error that `≈` allows."""

_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "−": operator.sub,
    "*": operator.mul,
    "x": operator.mul,
    "×": operator.mul,
    "·": operator.mul,
    "/": operator.truediv,
    "÷": operator.truediv,
}


def wrong_equations(text: str) -> list[str]:
    """The equations of a text whose result is not what they compute, rounded as the text rounds it."""
    return [match.group() for match, value in _equations(text) if not _agrees(value, match)]


def _equations(text: str) -> Iterator[tuple[re.Match[str], float]]:
    for match in _EQUATION.finditer(text):
        chained = _AFTER.match(text, match.end()) or _BEFORE.search(text, max(0, match.start() - 2), match.start())
        left, right = _read(match["left"]), _read(match["right"])
        percents = sum(match[part].endswith("%") for part in ("left", "right", "result"))
        # A percent on one side alone may mean a share or a sum: both readings are in use.
        if chained or percents in (1, 2) or (right == 0 and match["sign"] in "/÷"):
            continue
        yield match, _OPERATIONS[match["sign"]](left, right)
    for match in _SHARE.finditer(text):
        yield match, _read(match["left"]) * _read(match["right"]) / 100


def _read(text: str) -> float:
    """A number without its currency, its commas and its percent sign."""
    return float(re.sub(r"[$,%]", "", text))


def _agrees(value: float, match: re.Match[str]) -> bool:
    """True if the result is the value, or where that has more places, the value give or take one in the last place."""
    written = match["result"]
    result, step = _read(written), 10.0 ** -len(written.rstrip("%").partition(".")[2])
    if match["equal"] == "≈":
        step = max(step, abs(value) * ABOUT)
    exact = abs(value / step - round(value / step)) < 1e-6
    slack = 0.0 if exact and match["equal"] != "≈" else step
    return abs(value - result) <= slack + 1e-9 * max(1.0, abs(value))
