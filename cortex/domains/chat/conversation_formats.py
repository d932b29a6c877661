"""The usual formats of conversations in JSON: messages (OpenAI), ShareGPT and Alpaca."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Format = Literal["messages", "sharegpt", "alpaca"]
FORMATS: tuple[Format, ...] = get_args(Format)

KEYS: Mapping[Format, str] = {"messages": "messages", "sharegpt": "conversations", "alpaca": "instruction"}
"""The key by which a record of each format is told."""

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
}
"""Roles of the formats, as chat templates name them."""


class FormatError(ValueError):
    """A record is no conversation. `kind` names the problem for counts; the message says what is wrong in this one."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Turn:
    """One turn, with what a right reply has to say where the file says so."""

    role: str
    """As in `ROLES`, or as the file has it where it is unknown."""
    content: str
    expect: tuple[str, ...] = ()
    """Phrases that a right reply has."""
    reject: tuple[str, ...] = ()
    """Phrases that a right reply does not have."""


def format_of(record: Mapping[str, Any]) -> Format | None:
    """The format of a record; None for anything else."""
    return next((each for each in FORMATS if KEYS[each] in record), None)


def turns_of(record: Mapping[str, Any], kind: Format) -> list[Turn]:
    """The turns of a record of this format.

    Raises:
        FormatError: a part of the record is missing, or of another type.
    """
    if kind == "alpaca":
        return _alpaca(record)
    listed = record[KEYS[kind]]
    if not isinstance(listed, list) or not listed:
        raise FormatError("no turns", f"`{KEYS[kind]}` is no list of turns")
    role, content = ("role", "content") if kind == "messages" else ("from", "value")
    system = [Turn("system", _text(record["system"], "system"))] if record.get("system") else []
    return [*system, *(_turn(each, role, content) for each in listed)]


def _turn(turn: Any, role: str, content: str) -> Turn:
    speaker = turn.get(role) if isinstance(turn, dict) else None
    if not isinstance(speaker, str):
        raise FormatError("no role", f"a turn has no `{role}`")
    if turn.get("weight", 1) not in (1, 1.0):
        raise FormatError(
            "weight", f"a turn has the weight {turn['weight']!r}: all assistant turns weigh the same here"
        )
    text = _text(turn.get(content), content)
    return Turn(ROLES.get(speaker, speaker), text, _phrases(turn, "expect"), _phrases(turn, "reject"))


def _alpaca(record: Mapping[str, Any]) -> list[Turn]:
    """An instruction, with an input below it, and the output; before it the exchanges of `history`, if any."""
    turns = [Turn("system", _text(record["system"], "system"))] if record.get("system") else []
    for pair in record.get("history") or ():
        if not isinstance(pair, list) or len(pair) != 2:
            raise FormatError("history", "`history` is no list of pairs of texts")
        turns += [Turn("user", _text(pair[0], "history")), Turn("assistant", _text(pair[1], "history"))]
    asked = [_text(record["instruction"], "instruction"), _text(record.get("input") or "", "input")]
    reply = _text(record.get("output"), "output")
    question = "\n\n".join(text for text in asked if text.strip())
    return [
        *turns,
        Turn("user", question),
        Turn("assistant", reply, _phrases(record, "expect"), _phrases(record, "reject")),
    ]


def _text(value: Any, key: str) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        other = next((part.get("type") for part in value if part.get("type") != "text"), None)
        if other is not None:
            raise FormatError("no text", f"`{key}` has a part of type {other!r}: only text is learned")
        value = "\n".join(str(part.get("text", "")) for part in value)
    if not isinstance(value, str):
        raise FormatError("no text", f"`{key}` is no text")
    return value


def _phrases(turn: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = turn.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, str) and each.strip() for each in found):
        raise FormatError(key, f"`{key}` is no list of phrases")
    return tuple(found)
