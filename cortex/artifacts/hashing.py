"""SHA-256 of many files at once: hashlib releases the GIL, so threads use every core."""

import hashlib
import io
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.parallel import in_parallel
from cortex.errors import DataError

WORKERS = os.cpu_count() or 1


@dataclass(frozen=True)
class FileHash:
    """A file's size in bytes and its SHA-256, from one reading."""

    size: int
    sha256: str


def hash_file(path: Path) -> FileHash:
    """Hash one regular file in constant memory.

    Raises:
        DataError: the file changed while it was read.
        OSError: it cannot be opened or read; a symbolic link is not followed.
    """
    with open_steady(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileHash(file.tell(), digest.hexdigest())


def hash_files(paths: Sequence[Path], workers: int = WORKERS) -> list[FileHash]:
    """Hash files in parallel, in the order given.

    Raises:
        DataError, OSError: as `hash_file`, for the first file that fails.
    """
    return in_parallel(hash_file, paths, workers)


@contextmanager
def open_steady(path: Path) -> Generator[io.FileIO]:
    """Open a file for one reading from end to end; a symbolic link is not followed.

    Raises:
        DataError: on leaving, if the file changed since entering, or was not read to its end.
    """
    with open(path, "rb", buffering=0, opener=_no_follow) as file:
        before = os.fstat(file.fileno())
        yield file
        after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns, file.tell()) != (after.st_size, after.st_mtime_ns, after.st_size):
            raise DataError(f"{path} changed while it was read: let its writer finish, then try again")


def _no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
