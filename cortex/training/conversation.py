"""A prompt as what chat templates and trainers read."""

import json
from pathlib import Path

import polars as pl

from cortex.domains.columns import read_rows
from cortex.domains.domain import Conversation


def chat(prompt: Conversation) -> list[dict[str, str]]:
    """The turns of a conversation, each with `role` and `content`."""
    return [message._asdict() for message in prompt]


def write_prompts(examples: pl.DataFrame, path: Path) -> None:
    """Write conversations with their truths, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for example in read_rows(examples):
            row = {"prompt": chat(example.messages), "example_id": example.id, "truth": json.dumps(example.truth)}
            file.write(json.dumps(row) + "\n")
