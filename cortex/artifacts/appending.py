"""A file that grows in order, past the page cache where the disk allows it.

What a download writes is not read again soon. Without the cache's copy it costs half the processor time, and other
programs keep what they had cached (`docs/measurements.md`).
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

BLOCK = 4096
"""Disks take offsets, lengths and addresses that are multiples of this past the cache."""

AT_ONCE = 1024 * 1024
"""Writes of at least so many bytes go past the cache: smaller ones would wait for the disk each."""


class Growing:
    """An open file, made if it is not there: what is in it is read to its end, then what is appended follows.

    Raises:
        OSError: it cannot be opened, or is a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        self._direct = getattr(os, "O_DIRECT", 0)
        """What asks the kernel to leave the cache out; 0 where nobody understands it."""
        self._cached = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        os.close(self._descriptor)

    def rewind(self) -> bool:
        """Go back to the first byte; whether there is one."""
        self._cache(True)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return os.fstat(self._descriptor).st_size > 0

    def read(self, size: int) -> bytes:
        """The next bytes of what is there; none at the end."""
        return os.read(self._descriptor, size)

    def append(self, data: bytes | memoryview) -> None:
        """Write all of it.

        Raises:
            OSError: the disk is full, or broken.
        """
        left = memoryview(data)
        while left:
            at = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            self._cache(len(left) < AT_ONCE or len(left) % BLOCK > 0 or at % BLOCK > 0)
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                if self._cached or error.errno != errno.EINVAL:
                    raise
                self._direct = 0  # this disk, or this piece of memory, is not fit for it

    def clear(self) -> None:
        """Remove every byte."""
        os.ftruncate(self._descriptor, 0)

    def sync(self) -> None:
        """Make the bytes survive a power cut."""
        os.fsync(self._descriptor)

    def _cache(self, wanted: bool) -> None:
        wanted = wanted or not self._direct
        if wanted != self._cached:
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, self._flags | (0 if wanted else self._direct))
                self._cached = wanted
            except OSError:  # this disk has no other way than through the cache
                self._direct = 0
