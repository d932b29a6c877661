"""Calls of tools in the text of a reply.

In the full style a call is JSON between tags, as many chat models learned to write it, such as
`<tool_call>{"name": "price", "arguments": {"symbol": "near", "day": "2024-02-11"}}</tool_call>`. In the compact style,
for small models, it is words: `<call> price near 57 </call>`, of which the last argument takes all that are left.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

Style = Literal["full", "compact"]

TAGS: dict[Style, tuple[str, str]] = {"full": ("<tool_call>", "</tool_call>"), "compact": ("<call>", "</call>")}
"""The tags around a call."""

MOST_CALLS = 8
"""Calls in one reply that are answered."""


class CallError(Exception):
    """A mistake in a call; its message is what the model is told."""


@dataclass(frozen=True)
class Call:
    """One call."""

    tool: str
    arguments: Mapping[str, str]


def has_call(reply: str, style: Style) -> bool:
    """True for a reply that begins a call, however it goes on."""
    return TAGS[style][0] in reply


def read_calls(reply: str, style: Style, parameters: Mapping[str, Sequence[str]]) -> list[Call | CallError]:
    """The calls of a reply in their order, a mistake in the place of a call that cannot be read.

    `parameters` has the names of each tool's arguments, all of which a call must give.
    """
    opening, closing = TAGS[style]
    found: list[Call | CallError] = []
    for text in reply.split(opening)[1:]:
        body, end, _ = text.partition(closing)
        try:
            if not end:
                raise CallError(f"the call does not end with {closing}")
            found.append(_read(body.strip(), style, parameters))
        except CallError as error:
            found.append(error)
    if len(found) > MOST_CALLS:
        return [*found[:MOST_CALLS], CallError(f"{MOST_CALLS} calls at a time are answered, not {len(found)}")]
    return found


def write_call(call: Call, style: Style) -> str:
    """A call as a model writes it."""
    opening, closing = TAGS[style]
    if style == "compact":
        return f"{opening} {' '.join((call.tool, *call.arguments.values()))} {closing}"
    return f"{opening}{json.dumps({'name': call.tool, 'arguments': dict(call.arguments)})}{closing}"


def _read(body: str, style: Style, parameters: Mapping[str, Sequence[str]]) -> Call:
    tool, arguments = _of_words(body, parameters) if style == "compact" else _of_json(body)
    wanted = _wanted(tool, parameters)
    if set(arguments) != set(wanted):
        raise CallError(f"{tool} takes {', '.join(wanted)}, not {', '.join(arguments) or 'nothing'}")
    return Call(tool, arguments)


def _of_words(body: str, parameters: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, str]]:
    tool, *words = body.split() or [""]
    wanted = _wanted(tool, parameters)
    if len(words) < len(wanted):
        raise CallError(f"{tool} takes {', '.join(wanted)}, and the call has {len(words)} words for them")
    last = len(wanted) - 1
    return tool, dict(zip(wanted, [*words[:last], " ".join(words[last:])], strict=True))


def _of_json(body: str) -> tuple[str, dict[str, str]]:
    try:
        read: object = json.loads(body)
    except (ValueError, RecursionError):
        raise CallError("the call is no JSON") from None
    values = cast(dict[str, object], read) if isinstance(read, dict) else {}
    tool, arguments = values.get("name"), values.get("arguments", {})
    if not isinstance(tool, str) or not isinstance(arguments, dict):
        raise CallError('a call is {"name": ..., "arguments": {...}}')
    return tool, {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in cast(dict[str, object], arguments).items()
    }


def _wanted(tool: str, parameters: Mapping[str, Sequence[str]]) -> Sequence[str]:
    if tool not in parameters:
        named = re.sub(r"[^\w-]", "", tool)[:30]
        raise CallError(f"there is no tool {named}, but {', '.join(parameters)}")
    return parameters[tool]
