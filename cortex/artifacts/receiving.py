"""Download of an artifact: in pieces, verified as they arrive, resumable at any byte, and published whole.

The files are collected in `<target>.part`, which a killed download leaves behind and the next one continues. Files are
written in order, so the next download hashes the bytes that are there and requests only the rest.
"""

import hashlib
from collections.abc import Callable, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from cortex.artifacts.appending import GrowingFile
from cortex.artifacts.folders import explaining_write_errors
from cortex.artifacts.landing import landing
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.partial import NOTHING, entries_without
from cortex.artifacts.store import SMALL, Store
from cortex.artifacts.streaming import read_pieces
from cortex.errors import VerificationError
from cortex.limits import TooLargeError

CONNECTIONS = 8
"""Connections for large files, all together; small files use twice as many."""

ATTEMPTS = 3
"""Readings of one object with wrong bytes after which the store's copy counts as damaged."""

READ = 1024 * 1024

Advance = Callable[[int], None]
"""Gets the number of bytes that were verified or fetched, as it happens; a negative number takes bytes back."""


def receive(
    store: Store,
    prefix: str,
    manifest: Manifest,
    target: Path,
    advance: Advance = lambda _: None,
    *,
    left_out: Set[str] = NOTHING,
) -> None:
    """Make `target` a verified copy of the artifact under `prefix`, without the folders of `left_out`.

    A damaged copy there is repaired.

    Raises:
        RefusedError: something else is at `target`, or another download into it is under way.
        VerificationError: the store's copy is damaged; right files are kept beside the target for the next attempt.
        ConfigError: the disk is full or cannot be written.
    """
    wanted = entries_without(manifest, left_out)
    with landing(target, manifest, left_out=left_out) as landed:
        if landed is None:
            advance(sum(entry.size for entry in wanted))
            return
        part = landed.path
        large = [entry for entry in wanted if entry.size > SMALL]
        small = [entry for entry in wanted if entry.size <= SMALL]
        at_once = min(CONNECTIONS, len(large)) or 1
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="piece") as pool:
            # With fewer files than connections, each file is read over several.
            ahead = CONNECTIONS // at_once - 1
            in_parallel(_Fetch(store, prefix, part, advance, pool if ahead else None, ahead), large, at_once)
        in_parallel(_Fetch(store, prefix, part, advance), small, 2 * CONNECTIONS)


class _Fetch:
    """Downloads one file at a time into the part folder."""

    def __init__(
        self, store: Store, prefix: str, part: Path, advance: Advance, pool: Executor | None = None, ahead: int = 0
    ) -> None:
        self._store, self._prefix, self._part = store, prefix, part
        self._advance, self._pool, self._ahead = advance, pool, ahead

    def __call__(self, entry: FileEntry) -> None:
        path = self._part / entry.name
        with explaining_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = GrowingFile(path)
        with file:
            # Bytes that an earlier download left may be wrong: that attempt does not count against the store's copy.
            left = file.rewind()
            for _ in range(ATTEMPTS + left):
                if self._complete(file, entry):
                    with explaining_write_errors(path):
                        file.sync()
                    return
        raise self._damaged(entry, f"read {ATTEMPTS} times, it never had the SHA-256 of its manifest")

    def _complete(self, file: GrowingFile, entry: FileEntry) -> bool:
        """Continue a file to its end; True if it is right. A wrong file is emptied."""
        digest = hashlib.sha256()
        have = 0
        file.rewind()
        while kept := file.read(READ):
            digest.update(kept)
            have += len(kept)
        self._advance(have)
        if have < entry.size:
            key = f"{self._prefix}/{entry.name}"
            rest = read_pieces(self._store, key, entry.size, start=have, pool=self._pool, ahead=self._ahead)
            try:
                for piece in rest:
                    digest.update(piece)
                    with explaining_write_errors(self._part / entry.name):
                        file.append(piece)
                    have += len(piece)
                    self._advance(len(piece))
            except TooLargeError as error:
                self._drop(file, have)
                raise self._damaged(entry, f"it has more than the {entry.size:,} bytes of its manifest") from error
        if have == entry.size and digest.hexdigest() == entry.sha256:
            return True
        self._drop(file, have)
        # The answer's body may have been cut off on the way; only the object's size tells that the object is short.
        if have < entry.size and (there := self._store.size(f"{self._prefix}/{entry.name}")) != entry.size:
            raise self._damaged(entry, f"it has {there:,} bytes, not the {entry.size:,} of its manifest")
        return False

    def _drop(self, file: GrowingFile, count: int) -> None:
        self._advance(-count)
        file.clear()

    def _damaged(self, entry: FileEntry, why: str) -> VerificationError:
        where = f"{self._store.url}/{self._prefix}/{entry.name}"
        return VerificationError(f"{where} is damaged: {why} ({entry.sha256[:12]}); publish the artifact again")
