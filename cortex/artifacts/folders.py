"""Listing a folder without following links, and durable writes."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.file_names import MANIFEST, PART, SIDECARS
from cortex.errors import ConfigError


@dataclass(frozen=True)
class Contents:
    """The files under a folder, as sorted relative POSIX names, the manifest and its signature left out."""

    files: tuple[str, ...]
    odd: tuple[str, ...]
    """Entries that are neither file nor folder: symbolic links (to folders, too), sockets, pipes, devices."""


def scan(folder: Path) -> Contents:
    """List all files below a folder. Empty folders are ignored.

    Raises:
        OSError: a folder cannot be listed.
    """
    files: list[str] = []
    odd: list[str] = []
    pending = [""]
    while pending:
        parent = pending.pop()
        with os.scandir(folder / parent) as entries:
            for entry in entries:
                name = f"{parent}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                elif not entry.is_file(follow_symlinks=False):
                    odd.append(name)
                elif name not in SIDECARS:
                    files.append(name)
    return Contents(tuple(sorted(files)), tuple(sorted(odd)))


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path, *, files: bool = True) -> None:
    """Make a folder and all below it survive a power cut; without `files`, only what the folders list."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names if files else ():
            sync(Path(parent, name))
        sync(Path(parent))


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file durably. The caller renames it to its final place, so that it appears whole."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def seal(folder: Path, manifest: bytes) -> None:
    """Write a folder's manifest, whole or not at all."""
    write_whole(folder / PART, manifest)
    (folder / PART).replace(folder / MANIFEST)
    sync(folder)


@contextmanager
def explaining_write_errors(path: Path) -> Generator[None]:
    """Turn the disk's errors into one that says what to do.

    Raises:
        ConfigError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}; make room or give another place"
        ) from error
