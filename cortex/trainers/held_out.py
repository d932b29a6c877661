"""Holding validation examples out of a trainer's dataset."""

from pathlib import Path

SHARE = 10
"""At most one in this many examples is held out."""


def hold_out(dataset: Path, count: int, folder: Path) -> tuple[Path, Path]:
    """Split a JSONL into two files of `folder`: one to train on, and one of the last `count` lines, a tenth at most.

    Lines are in the order of time, so the held-out ones are not mixed with training examples of nearly the same days.
    """
    with dataset.open(encoding="utf-8") as file:
        lines = file.readlines()
    held = max(1, min(count, len(lines) // SHARE))
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    train.write_text("".join(lines[:-held]), encoding="utf-8")
    validation.write_text("".join(lines[-held:]), encoding="utf-8")
    return train, validation
