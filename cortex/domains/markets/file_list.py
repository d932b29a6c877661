"""The files that a profile names."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cortex.domains.markets.account import shortened
from cortex.domains.markets.table_file import KINDS, kind_of
from cortex.errors import DataError


def list_files(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """All named files, and the files of each named folder in the order of their names; with notes on files not read."""
    files: list[Path] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            # Hidden files are not the user's: operating systems write `._BTC.csv` and `.DS_Store`.
            inside = sorted(path.iterdir())
            shown = [file for file in inside if file.is_file() and kind_of(file) and not file.name.startswith(".")]
            if not shown:
                raise DataError(f"{path}: this folder has no {' or '.join(KINDS[:2])} file: name the one with the data")
            files += shown
            if others := [file.name for file in inside if file not in shown]:
                notes.append(f"not read: {shortened(others)}")
        elif not path.exists():
            raise DataError(f"{path}: no such file: check the path")
        elif kind_of(path) is None:
            raise DataError(f"{path}: is neither {' nor '.join(KINDS[:2])}: convert it")
        else:
            files.append(path)
    return files, tuple(notes)


def stem_of(file: Path) -> str:
    return file.name[: -len(kind_of(file) or "")]


def describe_file(file: Path) -> dict[str, object]:
    with file.open("rb") as stream:
        return {"name": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
