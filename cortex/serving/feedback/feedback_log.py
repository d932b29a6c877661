"""A gateway's own files of feedback: lines are appended, files change with the day, and their bytes have a limit."""

import datetime as dt
import errno
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cortex.limits import MIB

FILE_BYTES = 4 * MIB
"""A file that has so many bytes is continued in another, so that each is sent to the bucket in one request."""

_LOCK = "lock"
_NAME = re.compile(r"(?P<day>\d{4}-\d\d-\d\d)-\d{4,}\.jsonl")


class FullLogError(OSError):
    """The files hold as many bytes as they may, or a record has more than a file may."""


class FeedbackLog:
    """The folder of one gateway, held by a lock until its process ends. Only its owner may read it.

    A restarted gateway takes the folder of one that has ended, and begins a new file: a line that a kill has torn stays
    the last of its own.
    """

    def __init__(self, root: Path, limit: int, now: Callable[[], dt.datetime]) -> None:
        """`root` is the folder of all gateways of this machine, `limit` the most bytes of this one.

        Raises:
            OSError: the folder cannot be made or locked.
        """
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder, self._held = _take_folder(root)
        self._limit, self._now = limit, now
        self._size = sum(file.stat().st_size for file in self.files())
        self._lock = threading.Lock()
        self._open: tuple[str, Path, int] | None = None
        """The day, the path and the descriptor of the file that is written."""

    @property
    def gateway(self) -> str:
        """The gateway's name in the bucket."""
        return self.folder.name

    def files(self) -> list[Path]:
        """The files in the order in which they were begun."""
        return sorted(file for file in self.folder.iterdir() if _NAME.fullmatch(file.name))

    def append(self, line: bytes, *, durable: bool = False) -> None:
        """Write a whole line, or nothing; `durable` waits until it survives a power cut.

        Raises:
            FullLogError: the limit is reached.
            OSError: the disk is full, or broken.
        """
        with self._lock:
            if self._size + len(line) > self._limit or len(line) > FILE_BYTES:
                raise FullLogError(errno.EFBIG, f"no room: the limit is {self._limit:,} bytes", str(self.folder))
            descriptor = self._file(len(line))
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, line)
                if written < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
                if durable:
                    os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, before)
                self._close()  # should half a line be left, no other is added to it
                raise
            self._size += written

    def expire(self, days: int) -> list[str]:
        """Remove the files of days longer ago, and return their names."""
        with self._lock:
            gone = [file for file in self.files() if is_expired(file.name, days, self._now())]
            for file in gone:
                self._size -= file.stat().st_size
                file.unlink()
        return [file.name for file in gone]

    def close(self) -> None:
        """Close the file, and give the folder free."""
        with self._lock:
            self._close()
            os.close(self._held)

    def _file(self, more: int) -> int:
        day = self._now().astimezone(dt.UTC).strftime("%Y-%m-%d")
        if self._open and self._open[0] == day and os.fstat(self._open[2]).st_size + more <= FILE_BYTES:
            return self._open[2]
        self._close()
        number = sum(file.name.startswith(day) for file in self.files())
        while (path := self.folder / f"{day}-{number:04}.jsonl").exists():
            number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._open = (day, path, os.open(path, flags, 0o600))
        return self._open[2]

    def _close(self) -> None:
        if self._open:
            os.close(self._open[2])
            self._open = None


def is_expired(name: str, days: int, now: dt.datetime) -> bool:
    """Tell if a file of this name is of a day more than `days` days ago."""
    found = _NAME.fullmatch(name)
    first = (now.astimezone(dt.UTC) - dt.timedelta(days=days)).strftime("%Y-%m-%d")
    return found is not None and found["day"] < first


def _take_folder(root: Path) -> tuple[Path, int]:
    """A gateway's folder that no process holds, or a new one; and the descriptor of its lock."""
    # Folders without a lock were fetched from the bucket: other gateways', which nobody here writes to.
    for lock in sorted(root.glob(f"*/{_LOCK}")):
        if (descriptor := _hold(lock)) is not None:
            return lock.parent, descriptor
    folder = root / secrets.token_hex(6)
    folder.mkdir(mode=0o700)
    descriptor = _hold(folder / _LOCK)
    assert descriptor is not None
    return folder, descriptor


def _hold(lock: Path) -> int | None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
