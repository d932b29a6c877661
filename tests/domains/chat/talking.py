"""Conversations written into files, for the tests of the chat domain."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from cortex.domains.chat.domain import Chat
from cortex.domains.question import Example, Message


def write_lines(path: Path, records: Iterable[Any]) -> Path:
    """Write records as JSONL; a text is written as it is."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def messages(*texts: str, **further: Any) -> dict[str, Any]:
    """A record of OpenAI's format: user and assistant by turns."""
    turns = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": turns, **further}


def chat(*paths: Path, **keys: Any) -> Chat:
    return Chat.model_validate({"source": {"kind": "files", "paths": [str(path) for path in paths]}, **keys})


def asked(text: str, reply: str, **wanted: list[JsonValue]) -> Example:
    """An example with the data's reply, and what a right one has."""
    return Example("talks.jsonl:1:2", (Message("user", text),), {"reply": reply, **wanted}, "test")


def talks(count: int) -> list[dict[str, Any]]:
    """Conversations without a word in common."""
    return [messages(*(f"{word}{number}" for word in ("ask", "say", "why", "so"))) for number in range(count)]
