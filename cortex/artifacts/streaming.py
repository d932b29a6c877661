"""An object's bytes in order, asked for in pieces ahead of the reader: flat memory, several connections a file."""

import hashlib
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.store import PIECE, Store


def pieces(
    store: Store, key: str, size: int, *, start: int = 0, pool: Executor | None = None, ahead: int = 1
) -> Generator[bytes | memoryview]:
    """The bytes from `start` to `size`, in pieces of at most `PIECE`; with a pool, `ahead` more are under way.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    if start == 0 and size <= PIECE:
        # Asked for whole, because servers answer a range that is the whole object in different ways.
        yield store.get(key)
        return
    ranges = ((at, min(PIECE, size - at)) for at in range(start, size, PIECE))
    if pool is None:
        for at, length in ranges:
            yield store.get_range(key, at, length)
        return
    pending: deque[Future[memoryview]] = deque()
    try:
        for at, length in ranges:
            pending.append(pool.submit(store.get_range, key, at, length))
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
