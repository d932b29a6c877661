"""An object's bytes in order, in flat memory: over one connection, or over several, ahead of the reader."""

import hashlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future

from loguru import logger

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.store import PIECE, Store, StoreError


def pieces(
    store: Store, key: str, size: int, *, start: int = 0, pool: Executor | None = None, ahead: int = 0
) -> Generator[bytes | memoryview]:
    """The bytes from `start` to `size`: as one stream, or, with a pool, as ranges of which `ahead` more are under way.

    A stream that breaks off is continued by ranges, each of which the store tries again by itself.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    at = start
    if at == 0 and size <= PIECE:
        yield store.get(key)
        return
    if at == 0 and pool is None:
        try:
            for chunk in store.stream(key):
                yield chunk
                at += len(chunk)
            return
        except StoreError as error:
            logger.warning(f"{error}: going on at byte {at:,}")
    ranges = ((first, min(PIECE, size - first)) for first in range(at, size, PIECE))
    if pool is None:
        for first, length in ranges:
            yield store.get_range(key, first, length)
        return
    pending: deque[Future[memoryview]] = deque()
    try:
        for first, length in ranges:
            pending.append(pool.submit(store.get_range, key, first, length))
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
