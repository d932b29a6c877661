"""Folders with objects from a while ago: a folder store takes an object's time from its file."""

import os

from cortex.artifacts.store import Store


def backdate(store: Store, prefix: str, seconds: float) -> None:
    """Make all objects below a prefix so many seconds older."""
    for entry in store.list(prefix):
        path = store.local_path(entry.key)
        assert path
        then = entry.modified - seconds
        os.utime(path, (then, then))
