"""Decisions of people about answers: a folder with one line each, sealed by a manifest."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.verify import verify
from cortex.errors import DataError

DECISIONS = "decisions.jsonl"

Choice = Literal["accept", "reject"]
CHOICES: tuple[Choice, ...] = ("accept", "reject")


@dataclass(frozen=True)
class Decision:
    """A person's decision about one answer."""

    example_id: str
    answer: str
    """The hash of the answer's text: an example's other answer is another matter."""
    choice: Choice
    by: str
    """The person's name."""
    grade: str
    """The grade that the rules had given."""


def hash_answer(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Decisions:
    """A folder of decisions, to be added to. The last one of a person about an answer counts."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            DataError: the folder cannot be made, or a line of its file is damaged.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.made = _read(folder / DECISIONS) if (folder / DECISIONS).exists() else []
        except OSError as error:
            raise DataError(f"{folder} cannot be used ({error.strerror}): name another folder") from error

    def of(self, person: str) -> dict[tuple[str, str], Decision]:
        """A person's decisions, by example and answer."""
        return {(each.example_id, each.answer): each for each in self.made if each.by == person}

    def add(self, decision: Decision) -> None:
        """Write a decision down; the folder is not sealed until `seal` is called.

        Raises:
            OSError: the disk is full, or broken.
        """
        (self.folder / MANIFEST).unlink(missing_ok=True)
        with (self.folder / DECISIONS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(decision)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.made.append(decision)

    def seal(self, inputs: Mapping[str, str]) -> Manifest:
        """Write the manifest, with the digest of the labels that were reviewed."""
        manifest = describe(self.folder, kind="review", inputs=inputs)
        aside = self.folder / f"{MANIFEST}.partial"
        write_whole(aside, manifest.data)
        aside.rename(self.folder / MANIFEST)
        return manifest


def read_decisions(folder: Path) -> tuple[dict[tuple[str, str], list[Decision]], str]:
    """Sealed decisions by example and answer, the last of each person; and the manifest's digest.

    Raises:
        DataError: there is no review, it is not sealed, or it differs from its manifest.
    """
    if not (folder / DECISIONS).is_file():
        raise DataError(f"{folder} holds no {DECISIONS}: name a folder that `cortex review` wrote")
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} is not sealed: open `cortex review` with it once more, and quit")
    verification = verify(folder)
    verification.require()
    return latest(_read(folder / DECISIONS)), verification.manifest.digest


def latest(decisions: Sequence[Decision]) -> dict[tuple[str, str], list[Decision]]:
    """The last decision of each person, by example and answer."""
    found: dict[tuple[str, str], dict[str, Decision]] = {}
    for each in decisions:
        found.setdefault((each.example_id, each.answer), {})[each.by] = each
    return {key: list(of_person.values()) for key, of_person in found.items()}


def _read(path: Path) -> list[Decision]:
    found: list[Decision] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            row: Any = json.loads(line)
            decision = Decision(**row)
        except (ValueError, TypeError, RecursionError):
            raise DataError(f"{path}, line {number} is no decision: remove that line") from None
        if decision.choice not in CHOICES or not all(isinstance(value, str) for value in row.values()):
            raise DataError(f"{path}, line {number} is no decision: remove that line")
        found.append(decision)
    return found
