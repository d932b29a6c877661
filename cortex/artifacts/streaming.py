"""An object's bytes in order, in flat memory: over one connection, or over several, ahead of the reader."""

import hashlib
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future
from itertools import islice

from loguru import logger

from cortex.artifacts.hashing import FileHash
from cortex.artifacts.store import PIECE, Store, StoreError
from cortex.limits import TooLargeError

RANGE = 64 * 1024 * 1024
"""Bytes that are asked for in one request where one connection brings a whole object, one range after the other.

Servers that hash an object while they send all of it do not hash a part: that alone halves their work.
"""

AHEAD = 4 * 1024 * 1024
"""Bytes of one request where several connections read one object: each holds so many, and its client twice."""


def pieces(
    store: Store, key: str, size: int, *, start: int = 0, pool: Executor | None = None, ahead: int = 0
) -> Generator[bytes | memoryview]:
    """The bytes from `start` to `size`, each piece good until the next; fewer where the object ends before.

    They come over one connection, or, with a pool, in requests of which `ahead` more are under way. The last request
    asks for one byte more, by which an object that is longer betrays itself.

    Raises:
        MissingObjectError, StoreError: as the store does.
        TooLargeError: the object is longer than `size`.
    """
    if start == 0 and size <= PIECE:
        yield store.get(key, size)
        return
    given = start
    for piece in _several(store, key, start, size, pool, ahead) if pool else _ranges(store, key, start, size):
        given += len(piece)
        if given > size:
            raise TooLargeError(f"{store.url}/{key} has more than the {size:,} bytes that it should have")
        yield piece


def _ranges(store: Store, key: str, start: int, size: int) -> Generator[bytes | memoryview]:
    for first, length in _requests(start, size, RANGE):
        yield from _one(store, key, first, first + length)


def _requests(start: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """Where each request begins, and how many bytes it asks for: the last, for one beyond `size`."""
    for first in range(start, size, step):
        yield first, step if first + step < size else size - first + 1


def _one(store: Store, key: str, at: int, stop: int) -> Generator[bytes | memoryview]:
    """A range as a stream. One that breaks off is continued in requests that the store tries again by itself."""
    try:
        for chunk in store.stream(key, at, stop - at):
            yield chunk
            at += len(chunk)
    except StoreError as error:
        logger.warning(f"{error}: going on at byte {at:,}")
        for first in range(at, stop, PIECE):
            asked = min(PIECE, stop - first)
            piece = store.get_range(key, first, asked)
            yield piece
            if len(piece) < asked:
                return  # the object ends here


def _several(
    store: Store, key: str, start: int, size: int, pool: Executor, ahead: int
) -> Generator[bytes | memoryview]:
    requests = _requests(start, size, AHEAD)
    pending: deque[tuple[int, Future[memoryview]]] = deque()
    try:
        while True:
            for first, asked in islice(requests, ahead + 1 - len(pending)):
                pending.append((asked, pool.submit(store.get_range, key, first, asked)))
            if not pending:
                return
            asked, future = pending.popleft()
            piece = future.result()
            yield piece
            if len(piece) < asked:
                return  # the object ends here: what is asked for beyond it would be in vain
    finally:
        for _, future in pending:
            future.cancel()


def hash_object(store: Store, key: str, expected: int) -> FileHash:
    """Read an object of `expected` bytes back, and hash what the store really has; of a longer one, one byte more.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    digest = hashlib.sha256()
    read = 0
    try:
        for piece in pieces(store, key, expected):
            digest.update(piece)
            read += len(piece)
    except TooLargeError:
        read = expected + 1
    return FileHash(read, digest.hexdigest())
