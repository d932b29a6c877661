"""SHA-256 of many files at once: hashlib lets go of the interpreter, so threads use every core."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cortex.errors import DataError

WORKERS = os.cpu_count() or 1


@dataclass(frozen=True)
class FileHash:
    """What one reading of a file saw: its size in bytes, its SHA-256."""

    size: int
    sha256: str


def hash_file(path: Path) -> FileHash:
    """Hash one regular file in constant memory.

    Raises:
        DataError: the file changed while it was read.
        OSError: it cannot be opened or read; a symbolic link is not followed.
    """
    with open(path, "rb", buffering=0, opener=_no_follow) as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256")
        after = os.fstat(file.fileno())
        size = file.tell()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or size != after.st_size:
        raise DataError(f"{path} changed while it was read: let its writer finish, then try again")
    return FileHash(size, digest.hexdigest())


def hash_files(paths: Sequence[Path], workers: int = WORKERS) -> list[FileHash]:
    """Hash files in parallel, in the order given.

    Raises:
        DataError, OSError: as `hash_file`, for the first file that fails.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="hash") as pool:
        return list(pool.map(hash_file, paths))


def _no_follow(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
