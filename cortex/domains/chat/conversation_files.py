"""Conversations read from JSONL files: each file's format, its conversations, and its faulty records by line."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.domains.chat.conversation_checks import check_turns
from cortex.domains.chat.conversation_formats import (
    FORMATS,
    KEYS,
    Format,
    FormatError,
    Turn,
    format_of,
    turns_of,
)
from cortex.errors import DataError
from cortex.text import harmless

ENDING = ".jsonl"
LONGEST_LINE = 8 * 2**20
"""Bytes of the longest record that is read."""


@dataclass(frozen=True)
class Talk:
    """One conversation, with its place."""

    file: str
    line: int
    turns: tuple[Turn, ...]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def replies(self) -> list[tuple[str, str]]:
        """Each user's turn with the assistant's reply to it."""
        spoken = [turn.content for turn in self.turns if turn.role != "system"]
        return list(zip(spoken[::2], spoken[1::2], strict=True))


@dataclass(frozen=True)
class Problem:
    """A record that is no conversation to learn from."""

    place: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass
class ReadFile:
    """One file's conversations, and the account of it."""

    name: str
    format: Format
    sha256: str
    talks: list[Talk] = field(default_factory=list[Talk])
    problems: list[Problem] = field(default_factory=list[Problem])


def list_conversation_files(paths: Sequence[Path]) -> list[Path]:
    """The named files, and those of named folders by name.

    Raises:
        DataError: one is missing, or ends otherwise; two have one name; or a folder has none.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.glob(f"*{ENDING}") if not file.name.startswith("."))
            if not inside:
                raise DataError(f"{path}: this folder has no {ENDING} file: name the one with the conversations")
            files += inside
        elif not path.is_file():
            raise DataError(f"{path}: no such file: check domain.source.paths")
        elif path.suffix != ENDING:
            raise DataError(f"{path}: is no {ENDING} file: write one conversation a line, as JSON")
        else:
            files.append(path)
    names = [file.name for file in files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataError(f"two files are called {twice}, and examples are named by their file: rename one")
    return files


def read_conversation_file(path: Path, max_words: int) -> ReadFile:
    """Read one file. Raises DataError as `read_conversations`, or where the file cannot be read."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return read_conversations(path.name, _lines(stream), digest, max_words)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: check domain.source.paths") from error


def read_conversations(name: str, lines: Iterable[bytes], digest: str, max_words: int) -> ReadFile:
    """Read the records of a file, one a line. The first that is of a known format decides on that of the file.

    Raises:
        DataError: no record is of a known format.
    """
    found: ReadFile | None = None
    early: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        try:
            record = _record(line)
            kind = found.format if found else format_of(record)
            if kind is None:
                raise FormatError("unknown format", f"keys {_listed(record)} are of no known format")
            found = found or ReadFile(name, kind, digest)
            if KEYS[kind] not in record:
                raise FormatError("another format", f"no `{KEYS[kind]}`, as other records of this file ({kind}) have")
            turns = turns_of(record, kind)
            check_turns(turns, max_words)
        except FormatError as error:
            (found.problems if found else early).append(Problem(place, error.kind, harmless(error, limit=300)))
        else:
            found.talks.append(Talk(name, number, tuple(turns)))
    if found is None:
        wanted = ", ".join(f"`{KEYS[each]}` ({each})" for each in FORMATS)
        first = f"; first {early[0]}" if early else ": it is empty"
        raise DataError(f"{name}: no record has one of the keys {wanted}{first}")
    found.problems[:0] = early
    return found


def _lines(stream: Any) -> Iterator[bytes]:
    """The lines of a file, each cut where it is too long to be a record, which then counts as broken."""
    while line := stream.readline(LONGEST_LINE):
        whole = line.endswith(b"\n") or len(line) < LONGEST_LINE
        yield line if whole else b"{"
        while not whole and (rest := stream.readline(LONGEST_LINE)):
            whole = rest.endswith(b"\n")


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError("broken JSON", f"broken JSON ({error}): write one JSON object a line") from error
    if not isinstance(record, dict):
        raise FormatError("broken JSON", f"is a JSON {type(record).__name__}, and no object")
    return record


def _listed(record: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, record))[:6]) or "(none)"
