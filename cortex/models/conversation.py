"""A prompt as what chat templates and trainers read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Message


def chat(prompt: Conversation) -> list[dict[str, str]]:
    """The turns of a conversation, each with `role` and `content`."""
    return [message._asdict() for message in prompt]


def conversation(turns: Iterable[Mapping[str, Any]]) -> Conversation:
    """The conversation of what chat templates read."""
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def write_prompts(examples: pl.DataFrame, path: Path) -> None:
    """Write conversations with their truths, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for example in read_rows(examples):
            row = {"prompt": chat(example.messages), "example_id": example.id, "truth": json.dumps(example.truth)}
            file.write(json.dumps(row) + "\n")
