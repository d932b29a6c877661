"""Holding validation examples out of a trainer's dataset."""

import json
from pathlib import Path

SHARE = 10
"""At most one in this many examples is held out."""


def hold_out(dataset: Path, count: int, folder: Path, together: str | None = None) -> tuple[Path, Path]:
    """Split a JSONL into two files of `folder`: one to train on, and one of the last `count` lines, a tenth at most.

    Lines are in the order of time, so the held-out ones are not mixed with training examples of nearly the same days.
    Lines that follow one another with the same value of the column `together` are not parted: the first of them is
    moved to the held-out lines, too.
    """
    with dataset.open(encoding="utf-8") as file:
        lines = file.readlines()
    held = max(1, min(count, len(lines) // SHARE))
    if together:
        while held < len(lines) - 1 and json.loads(lines[-held])[together] == json.loads(lines[-held - 1])[together]:
            held += 1
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    train.write_text("".join(lines[:-held]), encoding="utf-8")
    validation.write_text("".join(lines[-held:]), encoding="utf-8")
    return train, validation
