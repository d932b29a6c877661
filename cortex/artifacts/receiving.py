"""An artifact on its way to this disk: in pieces, verified as they come, resumable at any byte, whole at once.

The files gather in `<target>.part`, which a killed download leaves behind and the next one continues. Files are
written in order, so what lies there is hashed once more and only the rest is asked for.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from cortex.artifacts.appending import Growing
from cortex.artifacts.folders import writing
from cortex.artifacts.landing import landing
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import SMALL, Store
from cortex.artifacts.streaming import pieces
from cortex.errors import VerificationError
from cortex.limits import TooLargeError

CONNECTIONS = 8
"""Large files are read over so many connections together, small ones over twice as many."""

ATTEMPTS = 3
"""Readings of one object that gave wrong bytes, before the copy in the store is called damaged."""

READ = 1024 * 1024

Advance = Callable[[int], None]
"""Told of every byte that was verified or fetched, as it is; a negative number takes bytes back."""


def receive(store: Store, prefix: str, manifest: Manifest, target: Path, advance: Advance = lambda _: None) -> None:
    """Make `target` a verified copy of the artifact under `prefix`. A damaged copy that lies there is repaired.

    Raises:
        RefusedError: something else lies at `target`, or another download into it is under way.
        VerificationError: the store's copy is damaged; what was right is kept beside the target for the next attempt.
        ConfigError: the disk is full or cannot be written.
    """
    with landing(target, manifest) as landed:
        if landed is None:
            advance(manifest.size)
            return
        part = landed.path
        large = [entry for entry in manifest.files if entry.size > SMALL]
        small = [entry for entry in manifest.files if entry.size <= SMALL]
        at_once = min(CONNECTIONS, len(large)) or 1
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="piece") as pool:
            # Where files are fewer than connections, each is read over several.
            ahead = CONNECTIONS // at_once - 1
            in_parallel(_Fetch(store, prefix, part, advance, pool if ahead else None, ahead), large, at_once)
        in_parallel(_Fetch(store, prefix, part, advance), small, 2 * CONNECTIONS)


class _Fetch:
    """Brings one file at a time to its place under the part folder."""

    def __init__(
        self, store: Store, prefix: str, part: Path, advance: Advance, pool: Executor | None = None, ahead: int = 0
    ) -> None:
        self._store, self._prefix, self._part = store, prefix, part
        self._advance, self._pool, self._ahead = advance, pool, ahead

    def __call__(self, entry: FileEntry) -> None:
        path = self._part / entry.name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = Growing(path)
        with file:
            # What an earlier download left may be wrong, too: that is no fault of the store's copy.
            left = file.rewind()
            for _ in range(ATTEMPTS + left):
                if self._complete(file, entry):
                    with writing(path):
                        file.sync()
                    return
        raise self._damaged(entry, f"read {ATTEMPTS} times, it never had the SHA-256 of its manifest")

    def _complete(self, file: Growing, entry: FileEntry) -> bool:
        """Continue a file to its end; whether it is right. One that is not is emptied."""
        digest = hashlib.sha256()
        have = 0
        file.rewind()
        while kept := file.read(READ):
            digest.update(kept)
            have += len(kept)
        self._advance(have)
        if have < entry.size:
            key = f"{self._prefix}/{entry.name}"
            rest = pieces(self._store, key, entry.size, start=have, pool=self._pool, ahead=self._ahead)
            try:
                for piece in rest:
                    digest.update(piece)
                    with writing(self._part / entry.name):
                        file.append(piece)
                    have += len(piece)
                    self._advance(len(piece))
            except TooLargeError as error:
                self._drop(file, have)
                raise self._damaged(entry, f"it has more than the {entry.size:,} bytes of its manifest") from error
        if have == entry.size and digest.hexdigest() == entry.sha256:
            return True
        self._drop(file, have)
        # A body may have been cut on its way; an object that is shorter is so at every reading.
        if have < entry.size and (there := self._store.size(f"{self._prefix}/{entry.name}")) != entry.size:
            raise self._damaged(entry, f"it has {there:,} bytes, not the {entry.size:,} of its manifest")
        return False

    def _drop(self, file: Growing, count: int) -> None:
        self._advance(-count)
        file.clear()

    def _damaged(self, entry: FileEntry, why: str) -> VerificationError:
        where = f"{self._store.url}/{self._prefix}/{entry.name}"
        return VerificationError(f"{where} is damaged: {why} ({entry.sha256[:12]}); publish the artifact again")
