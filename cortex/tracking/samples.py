"""A few of a trainer's sampled answers, stored for people: they show collapse, truncation and reward hacking."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TEXT_LENGTH = 8_000
"""Characters of a prompt or an answer that are kept; a longer text is marked as shortened."""


Split = Literal["train", "validation"]
"""The split of the examples that were answered."""


def samples_name(split: Split, step: int) -> str:
    """The name of the file of the answers that were sampled at a step."""
    return f"{split}-{step:08d}.jsonl"


@dataclass(frozen=True)
class SampleWriter:
    """Writes a JSONL of answers for each step that is sampled; repeating a step gives the same file."""

    folder: Path
    count: int
    """Answers per file, evenly spread over those that were sampled."""

    def write(self, step: int, split: Split, rows: Sequence[dict[str, Any]]) -> None:
        """Keep some of the answers that were sampled at `step`: each row's `prompt`, `completion`, and figures."""
        count = min(self.count, len(rows))
        if not count:
            return
        chosen = [rows[index * len(rows) // count] for index in range(count)]
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / samples_name(split, step)
        lines = [json.dumps({"step": step, "split": split, **_shortened(row)}) + "\n" for row in chosen]
        aside = path.with_suffix(".partial")
        aside.write_text("".join(lines), encoding="utf-8")
        aside.rename(path)


def _shortened(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: f"{value[:TEXT_LENGTH]}... ({len(value):,} letters)"
        if isinstance(value, str) and len(value) > TEXT_LENGTH
        else value
        for name, value in row.items()
    }
