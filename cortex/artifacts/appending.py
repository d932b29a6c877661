"""A file that is appended to, past the page cache (`O_DIRECT`) where the disk allows it.

A download's files are not read again soon. Past the cache, writing them costs half the processor time, and other
programs keep what they had cached (`docs/measurements.md`).
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

BLOCK = 4096
"""Past the cache, disks take offsets, lengths and addresses that are multiples of this."""

AT_ONCE = 1024 * 1024
"""Writes of at least so many bytes go past the cache: smaller ones would each wait for the disk."""


class GrowingFile:
    """An open file, made if it does not exist. Its bytes are read to the end, then new ones are appended.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        self._direct = getattr(os, "O_DIRECT", 0)
        """The flag that bypasses the page cache; 0 where this system or this disk does not support it."""
        self._cached = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        os.close(self._descriptor)

    def rewind(self) -> bool:
        """Go back to the first byte; False if the file is empty."""
        self._use_cache(True)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.fstat(self._descriptor).st_size > 0

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        return os.read(self._descriptor, size)

    def append(self, data: bytes | memoryview) -> None:
        """Write all the bytes.

        Raises:
            OSError: the disk is full, or broken.
        """
        left = memoryview(data)
        while left:
            at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            self._use_cache(len(left) < AT_ONCE or len(left) % BLOCK > 0 or at % BLOCK > 0)
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                if self._cached or error.errno != errno.EINVAL:
                    raise
                self._direct = 0  # this disk, or this memory's alignment, does not support it

    def clear(self) -> None:
        """Remove every byte."""
        os.ftruncate(self._descriptor, 0)

    def sync(self) -> None:
        """Make the bytes survive a power cut."""
        os.fsync(self._descriptor)

    def _use_cache(self, wanted: bool) -> None:
        wanted = wanted or not self._direct
        if wanted != self._cached:
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags | (0 if wanted else self._direct))
                self._cached = wanted
            except OSError:  # this disk's file system does not support bypassing the cache
                self._direct = 0
