"""Conversations of which only the last turn is trained on, marked as Axolotl reads it."""

import json
from pathlib import Path

from cortex.trainers.axolotl_config import TRAINED


def mark_last_turns(dataset: Path, folder: Path) -> Path:
    """Write the conversations of a JSONL file into a folder, each message with a mark: true for the last one alone."""
    marked = folder / "marked.jsonl"
    with dataset.open(encoding="utf-8") as lines, marked.open("w", encoding="utf-8") as file:
        for line in lines:
            row = json.loads(line)
            *earlier, last = row["messages"]
            turns = [*({**turn, TRAINED: False} for turn in earlier), {**last, TRAINED: True}]
            file.write(json.dumps({**row, "messages": turns}) + "\n")
    return marked
