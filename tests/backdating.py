"""Folders in which something was written a while ago: the moment at which a store took an object is its file's."""

import os

from cortex.artifacts.store import Store


def backdate(store: Store, prefix: str, seconds: float) -> None:
    """Make all that is below a prefix so many seconds older."""
    for entry in store.list(prefix):
        path = store.local_path(entry.key)
        assert path
        then = entry.modified - seconds
        os.utime(path, (then, then))
