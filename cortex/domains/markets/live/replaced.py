"""Answers that a newer one has replaced: they stay beside the pulls, under their hash.

A dataset names the hash of each answer that it was made of. What a service said before it revised its history can be
compared with what it says now, and put back for a build of the same examples.
"""

import shutil
from pathlib import Path

REPLACED = "replaced"
"""The folder of earlier answers, among the pulls."""


def set_aside(answer: Path, digest: str) -> Path:
    """Move an answer, a file or a folder, into `replaced/`. Returns its place there."""
    place = answer.parent / REPLACED / f"{answer.stem}-{digest[:16]}{answer.suffix}"
    place.parent.mkdir(exist_ok=True)
    if place.exists():  # the same answer, replaced before
        remove(place)
    return answer.rename(place)


def remove(answer: Path) -> None:
    """Remove an answer that is the same as the one in its place."""
    shutil.rmtree(answer) if answer.is_dir() else answer.unlink()
