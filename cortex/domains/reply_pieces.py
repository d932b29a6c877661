"""The pieces of an honest reply, of which cheats are made without knowing the domain's form."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

_TAGGED = re.compile(
    r"(?P<before>.*?<think>)?(?P<reasoning>.*?)(?P<between></think>\s*<answer>)(?P<answer>.*)(?P<after></answer>.*)",
    re.DOTALL,
)
_ANSWER = re.compile(
    r"(?P<before>.*?<answer>)(?P<reasoning>)(?P<between>)(?P<answer>.*)(?P<after></answer>.*)", re.DOTALL
)
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class ReplyPieces:
    """A reply in five pieces; joined they are the reply. Without tags all of it is the answer."""

    before: str
    reasoning: str
    between: str
    answer: str
    after: str

    @classmethod
    def of(cls, reply: str) -> "ReplyPieces":
        found = _TAGGED.fullmatch(reply) or _ANSWER.fullmatch(reply)
        if found is None:
            return cls("", "", "", reply, "")
        return cls(**{name: text or "" for name, text in found.groupdict().items()})

    def with_reasoning(self, reasoning: str) -> str:
        """The reply with another reasoning; where it has none, with that in front of the answer."""
        if not self.between:
            return f"{reasoning} {self.text}"
        return replace(self, reasoning=reasoning).text

    def with_answer(self, answer: str) -> str:
        """The reply with another answer."""
        return replace(self, answer=answer).text

    def with_numbers(self, change: Callable[[float], Any], *, pair: Callable[[Any], Any] | None = None) -> str:
        """The reply with each number of its answer changed; with `pair`, each list of two numbers alone."""
        try:
            values = json.loads(self.answer)
        except ValueError:
            return self.with_answer(_NUMBER.sub(lambda match: str(change(float(match.group()))), self.answer))
        return self.with_answer(json.dumps(_changed(values, change, pair)))

    def with_share(self, change: Callable[[float], float]) -> str:
        """The reply with the first number from 0 to 1 of an object in its answer changed, as a probability.

        A `direction` beside it changes with it, since a form may ask for one that agrees.
        """
        try:
            values = json.loads(self.answer)
        except ValueError:
            return self.with_numbers(change)
        if not isinstance(values, dict):
            return self.with_numbers(change)
        for key, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                values[key] = changed = change(value)
                if "direction" in values:
                    values["direction"] = "up" if changed >= 0.5 else "down"
                break
        return self.with_answer(json.dumps(values))

    @property
    def text(self) -> str:
        return self.before + self.reasoning + self.between + self.answer + self.after


def _changed(value: Any, change: Callable[[float], Any], pair: Callable[[Any], Any] | None) -> Any:
    if isinstance(value, dict):
        return {key: _changed(inner, change, pair) for key, inner in value.items()}
    if isinstance(value, list):
        two = len(value) == 2 and all(isinstance(inner, int | float) for inner in value)
        return pair(value) if pair and two else [_changed(inner, change, pair) for inner in value]
    return change(value) if isinstance(value, int | float) and not isinstance(value, bool) and not pair else value
