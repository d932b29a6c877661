"""Record of a stage's batches: each is written down before it is created, and its id before anybody waits for it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger


@dataclass
class BatchEntry:
    """One batch: its requests by example, in the order of its file, and the provider's id of it once it is known."""

    key: str
    provider: str
    examples: tuple[str, ...]
    id: str = ""
    done: bool = False
    """True once its answers are in the journal."""


class BatchRecord:
    """A file of JSON lines, of which later ones add to earlier ones. A damaged line is left out, and said."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: the file cannot be read.
        """
        self._path = path
        self.entries: dict[str, BatchEntry] = {}
        """By key, in order of creation."""
        lines = path.read_bytes().splitlines() if path.exists() else []
        damaged = sum(not self._read(line) for line in lines)
        if damaged:
            logger.warning(f"{path}: {damaged} lines cannot be read; their batches are looked for at the provider")

    def begin(self, key: str, provider: str, examples: Sequence[str]) -> BatchEntry:
        """Write a batch down that is to be created.

        Raises:
            OSError: the disk is full, or broken.
        """
        self._write({"key": key, "provider": provider, "examples": list(examples)})
        self.entries[key] = BatchEntry(key, provider, tuple(examples))
        return self.entries[key]

    def note(self, entry: BatchEntry, *, id: str = "", done: bool = False) -> None:  # noqa: A002 - the protocol's word
        """Write down a batch's id, or that its answers are in the journal; raises OSError as `begin`."""
        self._write({"key": entry.key, "id": id or entry.id, "done": done})
        entry.id, entry.done = id or entry.id, done

    def _read(self, line: bytes) -> bool:
        try:
            row: Any = json.loads(line)
            key = str(row["key"])
            if "examples" in row:
                self.entries[key] = BatchEntry(key, str(row["provider"]), tuple(map(str, row["examples"])))
            else:
                self.entries[key].id, self.entries[key].done = str(row["id"]), row["done"] is True
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        return True

    def _write(self, row: dict[str, Any]) -> None:
        with self._path.open("a+b") as file:
            torn = file.seek(0, os.SEEK_END) and not _ends_line(file)
            file.write(b"\n" * bool(torn) + json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _ends_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
