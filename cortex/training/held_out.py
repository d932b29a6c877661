"""Examples that a trainer is validated on, held out of those that it trains on."""

from pathlib import Path

SHARE = 10
"""One in so many examples is held out at most."""


def hold_out(dataset: Path, count: int, folder: Path) -> tuple[Path, Path]:
    """Split a JSONL into two files of `folder`: what is trained on, and the last `count` lines, a tenth at most.

    Lines are in the order of time: no neighbour of those held out, whose days are nearly theirs, is trained on.
    """
    with dataset.open(encoding="utf-8") as file:
        lines = file.readlines()
    held = max(1, min(count, len(lines) // SHARE))
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    train.write_text("".join(lines[:-held]), encoding="utf-8")
    validation.write_text("".join(lines[-held:]), encoding="utf-8")
    return train, validation
