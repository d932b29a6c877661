"""An object's bytes in order, in flat memory: over one connection, or over several, ahead of the reader."""

import hashlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future

from loguru import logger

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.store import PIECE, Store, StoreError

RANGE = 64 * 1024 * 1024
"""Bytes that are asked for in one request where one connection brings a whole object, one range after the other.

Servers that hash an object while they send all of it do not hash a part: that alone halves their work.
"""


def pieces(
    store: Store, key: str, size: int, *, start: int = 0, pool: Executor | None = None, ahead: int = 0
) -> Generator[bytes | memoryview]:
    """The bytes from `start` to `size`, each piece good until the next; fewer where the object ends before.

    They come over one connection, or, with a pool, in requests of which `ahead` more are under way.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    if start == 0 and size <= PIECE:
        yield store.get(key)
    elif pool:
        yield from _several(store, key, start, size, pool, ahead)
    else:
        for first in range(start, size, RANGE):
            yield from _one(store, key, first, min(first + RANGE, size))


def _one(store: Store, key: str, at: int, stop: int) -> Generator[bytes | memoryview]:
    """A range as a stream. One that breaks off is continued in requests that the store tries again by itself."""
    try:
        for chunk in store.stream(key, at, stop - at):
            yield chunk
            at += len(chunk)
    except StoreError as error:
        logger.warning(f"{error}: going on at byte {at:,}")
        for first in range(at, stop, PIECE):
            yield store.get_range(key, first, min(PIECE, stop - first))


def _several(
    store: Store, key: str, start: int, stop: int, pool: Executor, ahead: int
) -> Generator[bytes | memoryview]:
    pending: deque[Future[memoryview]] = deque()
    try:
        for first in range(start, stop, PIECE):
            pending.append(pool.submit(store.get_range, key, first, min(PIECE, stop - first)))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def hash_object(store: Store, key: str, expected: int) -> FileHash:
    """Read an object of about `expected` bytes back, and hash what the store really has.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    digest = hashlib.sha256()
    read = 0
    size = expected if expected <= PIECE else store.size(key)
    for piece in pieces(store, key, size):
        digest.update(piece)
        read += len(piece)
    return FileHash(read, digest.hexdigest())
