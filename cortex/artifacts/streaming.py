"""An object's bytes in order, in bounded memory: over one connection, or over several that read ahead."""

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
"""Bytes per request where one connection reads a whole object, one range after the other.

Some servers hash an object while they send all of it, but not while they send a range: ranges halve their work.
"""

AHEAD = 4 * 1024 * 1024
"""Bytes per request where several connections read one object. Each holds so many, and its client twice as many."""


def read_pieces(
    store: Store, key: str, size: int, *, start: int = 0, pool: Executor | None = None, ahead: int = 0
) -> Generator[bytes | memoryview]:
    """Yield the bytes from `start` to `size`, fewer if the object ends before. Each piece is valid until the next.

    They are read over one connection, or, with a pool, by requests of which `ahead` more are under way. The last
    request asks for one byte beyond `size`, so that a longer object is noticed.

    Raises:
        MissingObjectError, StoreError: as the store does.
        TooLargeError: the object is longer than `size`.
    """
    if start == 0 and size <= PIECE:
        yield store.get(key, size)
        return
    given = start
    for piece in (
        _read_ahead(store, key, start, size, pool, ahead) if pool else _read_in_ranges(store, key, start, size)
    ):
        given += len(piece)
        if given > size:
            raise TooLargeError(f"{store.url}/{key} has more than the {size:,} bytes that it should have")
        yield piece


def _read_in_ranges(store: Store, key: str, start: int, size: int) -> Generator[bytes | memoryview]:
    for first, length in _split_requests(start, size, RANGE):
        yield from _read_range(store, key, first, first + length)


def _split_requests(start: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """The start and length of each request; the last one asks for one byte beyond `size`."""
    for first in range(start, size, step):
        yield first, step if first + step < size else size - first + 1


def _read_range(store: Store, key: str, at: int, stop: int) -> Generator[bytes | memoryview]:
    """Yield a range from a stream. If it breaks off, continue with requests that the store retries by itself."""
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


def _read_ahead(
    store: Store, key: str, start: int, size: int, pool: Executor, ahead: int
) -> Generator[bytes | memoryview]:
    requests = _split_requests(start, size, AHEAD)
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
                return  # the object ends here, and so further requests would give nothing
    finally:
        for _, future in pending:
            future.cancel()


def hash_object(store: Store, key: str, expected: int) -> FileHash:
    """Read an object of `expected` bytes back, and hash it. A longer object counts as having one byte more.

    Raises:
        MissingObjectError, StoreError: as the store does.
    """
    digest = hashlib.sha256()
    read = 0
    try:
        for piece in read_pieces(store, key, expected):
            digest.update(piece)
            read += len(piece)
    except TooLargeError:
        read = expected + 1
    return FileHash(read, digest.hexdigest())
