"""The store of runs: one interface for a folder and for a bucket. Keys are relative POSIX paths."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.patience import Patience
from cortex.errors import DataError
from cortex.limits import RECORD_BYTES

PIECE = 8 * 1024 * 1024
"""Bytes that are read or sent in one request."""

SMALL = 1024 * 1024
"""Largest object whose transfer is mostly waiting for the server, so that many are transferred at the same time."""


class MissingObjectError(DataError):
    """There is nothing in the store under this key."""


class StoreError(DataError):
    """The store answered with an error, or with nothing, until patience ran out."""


@dataclass(frozen=True)
class StoredObject:
    """One entry of a listing."""

    key: str
    """Relative to the store."""
    size: int
    """In bytes."""
    modified: float
    """The time of the write, in seconds since 1970 by the store's own clock; whole seconds in some buckets."""


class Store(ABC):
    """Objects by key. Every write is atomic: no reader sees half of an object.

    All methods raise `StoreError` when the store cannot be reached or refuses. They may be called from any thread.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def with_patience(self, patience: Patience) -> "Store":
        """The same store with another patience; a folder store needs none, since it answers at once."""
        del patience
        return self

    def now(self) -> float:
        """Seconds since 1970 by the store's clock, which `StoredObject.modified` uses, too."""
        return time.time()

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing any other under its key."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object if there is none under its key. At most one of many callers gets True.

        If the answer is lost and the request retried, even the writer gets False; `creating.create` settles that.
        """

    @abstractmethod
    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        """Read a whole object of at most `limit` bytes.

        Raises:
            MissingObjectError: there is no such object.
            TooLargeError: it is larger; the rest is not read.
        """

    @abstractmethod
    def get_range(self, key: str, start: int, length: int) -> memoryview:
        """Read `length` bytes from `start`; fewer if the object ends before.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def stream(self, key: str, start: int, length: int) -> Iterator[bytes | memoryview]:
        """Yield the bytes of a range over one connection, fewer if the object ends before.

        Each piece may overwrite the one before. A broken connection raises `StoreError`; it is not retried.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """The size of an object in bytes.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Tell if there is an object under this key."""

    @abstractmethod
    def folders(self, prefix: str = "") -> list[str]:
        """The names of the folders right below a folder, sorted; deeper levels are not listed."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[StoredObject]:
        """All objects below a folder (`runs/a` holds `runs/a/b/c`, not `runs/ab`), sorted by key.

        Raises:
            TooLargeError: there are more than `OBJECTS` objects.
        """

    @abstractmethod
    def upload(self, path: Path, key: str) -> FileHash:
        """Write a file as an object, in constant memory. The hash is of the bytes that were sent.

        Raises:
            DataError: the file changed while it was read.
        """

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write an object to a file, in constant memory. The file appears whole.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def delete(self, prefix: str) -> int:
        """Delete the object of this key and all below it, and return their number. Deleting nothing is no error."""

    def local_path(self, key: str) -> Path | None:
        """The path of a key's file or folder on this machine's disk; None for a remote store."""
        del key
        return None
