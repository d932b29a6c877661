"""Upload of a folder's files to a bucket: hashed as they are sent, then read back completely."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cortex.artifacts.hashing import hash_file
from cortex.artifacts.manifest import FileEntry
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import SMALL, Store
from cortex.artifacts.streaming import hash_object
from cortex.errors import VerificationError

LARGE_AT_ONCE, SMALL_AT_ONCE = 4, 16
"""Files that are sent at the same time: few large ones, since each holds several parts in memory."""

ATTEMPTS = 3
"""Uploads of one file that read back with other bytes, after which the store counts as faulty."""


def send(
    folder: Path,
    names: Sequence[str],
    store: Store,
    prefix: str,
    present: Mapping[str, int],
    check: Callable[[], None],
) -> tuple[FileEntry, ...]:
    """Send files, and verify each by reading it back. A right copy that is there already is not sent again.

    `present` has the sizes of the keys that a listing found there. `check` is called before each file, and again before
    each upload of it; it raises when this process may not write any more.

    Raises:
        DataError: a file changed while it was sent.
        VerificationError: the store gives back other bytes than it was given.
    """
    sizes = {name: (folder / name).stat().st_size for name in names}

    def deliver(name: str) -> FileEntry:
        check()
        path, key = folder / name, f"{prefix}/{name}"
        if present.get(key) == sizes[name]:
            found = hash_file(path)
            if hash_object(store, key, found.size) == found:
                return FileEntry(name=name, size=found.size, sha256=found.sha256)
        for _ in range(ATTEMPTS):
            check()  # once more: reading a large file back takes long
            sent = store.upload(path, key)
            if hash_object(store, key, sent.size) == sent:
                return FileEntry(name=name, size=sent.size, sha256=sent.sha256)
        raise VerificationError(
            f"{store.url}/{key} reads back with other bytes than were sent, {ATTEMPTS} times: use another store"
        )

    large = [name for name in names if sizes[name] > SMALL]
    small = [name for name in names if sizes[name] <= SMALL]
    return (*in_parallel(deliver, large, LARGE_AT_ONCE), *in_parallel(deliver, small, SMALL_AT_ONCE))
