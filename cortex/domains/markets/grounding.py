"""Numbers that a reasoning cites, checked against the prompt."""

import re
from dataclasses import dataclass

# Every part is possessive or begins where a word begins, so that no text, however long, takes more than linear time.
_READING = re.compile(
    r"(?<!\w)(?P<name>[^\W\dA-Z]\w*+)(?: \([^()]*+\))?\s?:\s?(?P<value>[+-]?\d++(?:\.\d++)?+)(?!\w|%\w)"
)
_NUMBER = re.compile(r"(?<![\w.])[+-]?\d++(?:\.\d++)?+(?!\w)")


@dataclass(frozen=True)
class Citations:
    """Number of cited numbers, and those among them that the prompt does not contain."""

    cited: int
    ungrounded: tuple[str, ...]

    @property
    def share(self) -> float:
        """The grounded share of the cited numbers; 0 when nothing is cited."""
        return 1 - len(self.ungrounded) / self.cited if self.cited else 0.0


def readings(text: str) -> dict[str, float]:
    """The named values in a prompt or a reasoning: `flow:-2` and `- flow (net exchange inflow): -1.83` alike."""
    return {match["name"]: float(match["value"]) for match in _READING.finditer(text)}


def citations(reasoning: str, prompt: str) -> Citations:
    """Compare the numbers in `reasoning` with those in `prompt`.

    A named number must be that name's value; any other must stand somewhere in the prompt.
    """
    known = readings(prompt)
    numbers = {float(match.group()) for match in _NUMBER.finditer(prompt)} | set(known.values())
    wrong: list[str] = []
    cited = 0
    for match in _READING.finditer(reasoning):
        cited += 1
        if known.get(match["name"]) != float(match["value"]):
            wrong.append(match.group())
    for match in _NUMBER.finditer(_READING.sub(" ", reasoning)):
        cited += 1
        if float(match.group()) not in numbers:
            wrong.append(match.group())
    return Citations(cited, tuple(wrong))
