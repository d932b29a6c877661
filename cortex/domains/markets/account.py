"""Account of how a user's files were read: every column, every day left out, every join."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Role = Literal["symbol", "time", "price", "metric", "left out"]


@dataclass(frozen=True)
class Column:
    """One column and its role."""

    name: str
    """The name as the file has it."""
    role: Role
    why: str
    file: str


@dataclass(frozen=True)
class Account:
    """All columns of all files, and notes on their rows."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    def with_notes(self, notes: Sequence[str]) -> "Account":
        """A copy with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def to_json(self) -> dict[str, object]:
        """The account as JSON: equal columns of several files are listed once, with the files' names."""
        alike: dict[tuple[str, Role, str], list[str]] = {}
        for column in self.columns:
            alike.setdefault((column.name, column.role, column.why), []).append(column.file)
        columns = [
            {"name": name, "role": role, "why": why, "files": files} for (name, role, why), files in alike.items()
        ]
        return {"columns": columns, "notes": list(self.notes)}


def quoted(value: object) -> str:
    """A value of a file for a message: on one line, cut to a length that helps to find it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def shortened(names: Sequence[str], most: int = 8) -> str:
    """The first of some names, and how many more there are."""
    # A name is shown as it is, unless it would break the line or run off it.
    safe = [name if name.isprintable() and len(name) <= 40 else quoted(name) for name in names[:most]]
    shown = ", ".join(safe) or "none"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
