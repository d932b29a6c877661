"""Where runs are kept: a folder, or a bucket. One interface; keys are relative POSIX paths."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.patience import Patience
from cortex.errors import ConfigError, DataError
from cortex.limits import RECORD_BYTES
from cortex.urls import folder_of, read_bucket_url

PIECE = 8 * 1024 * 1024
"""Bytes that are asked for, or sent, in one request."""

SMALL = 1024 * 1024
"""Up to this size an object waits for the server more than for bytes: many are under way at a time."""


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
    """When the store took it, in seconds since 1970 by the store's own clock, whole seconds in some buckets."""


class Store(ABC):
    """Objects under keys. Every write is whole or absent: no reader sees half of one.

    All methods raise `StoreError` when the store cannot be reached or refuses; they may be called from any thread.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    @staticmethod
    def open(url: str, patience: Patience | None = None) -> "Store":
        """Open a store: a folder's path, `file:///folder`, or `s3://bucket/prefix` (`gs://`, `az://` likewise).

        Credentials, region and endpoint (`AWS_ENDPOINT_URL` and its like) come from the environment. `patience` is for
        buckets: with an infinite deadline, what must not be lost is tried until the bucket answers.

        Raises:
            ConfigError: the URL's scheme or form is not one of these.
        """
        try:
            place = read_bucket_url(url)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        folder = folder_of(place)
        if folder:
            from cortex.artifacts.folder_store import FolderStore

            return FolderStore(folder)
        from cortex.artifacts.remote_store import RemoteStore

        return RemoteStore(place, patience)

    def patient(self, patience: Patience) -> "Store":
        """The same store under another patience; a folder's answers at once and needs none."""
        del patience
        return self

    def now(self) -> float:
        """Seconds since 1970 by the clock that `StoredObject.modified` is of."""
        return time.time()

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write an object, in place of any other under its key."""

    @abstractmethod
    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write an object if there is none under its key; of many callers one gets True.

        An answer that was lost on the way makes even that one get False: who must know reads the object back.
        """

    @abstractmethod
    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        """Read a whole object of at most `limit` bytes; of a larger one no more is read.

        Raises:
            MissingObjectError: there is none.
            TooLargeError: it is larger.
        """

    @abstractmethod
    def get_range(self, key: str, start: int, length: int) -> memoryview:
        """Read `length` bytes from `start`; fewer where the object ends before.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def stream(self, key: str, start: int, length: int) -> Iterator[bytes | memoryview]:
        """The bytes of a range over one connection, fewer where the object ends before; it may break off.

        What is given is overwritten by what comes next.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """The bytes of an object.

        Raises:
            MissingObjectError: there is none.
        """

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""

    @abstractmethod
    def folders(self, prefix: str = "") -> list[str]:
        """The names right below a folder that have objects below them, sorted; of what is deeper nothing is listed."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[StoredObject]:
        """All objects below a folder (`runs/a` holds `runs/a/b/c`, not `runs/ab`), sorted by key.

        Raises:
            TooLargeError: there are more than any bucket of ours holds (`OBJECTS`).
        """

    @abstractmethod
    def upload(self, path: Path, key: str) -> FileHash:
        """Write a file's bytes as an object, in constant memory; the hash is of the bytes that were sent.

        Raises:
            DataError: the file changed while it was read.
        """

    @abstractmethod
    def download(self, key: str, path: Path) -> None:
        """Write an object's bytes to a file, in constant memory; the file appears whole.

        Raises:
            MissingObjectError: there is no such object.
        """

    @abstractmethod
    def delete(self, prefix: str) -> int:
        """Delete the object of this key and all below it; how many there were. Deleting nothing is no error."""

    def local_path(self, key: str) -> Path | None:
        """Where a key's file or folder lies on this machine's disk; None for a remote store."""
        del key
        return None
