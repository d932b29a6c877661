"""An artifact on its way to this disk: in pieces, verified as they come, resumable at any byte, whole at once.

The files gather in `<target>.part`, which a killed download leaves behind and the next one continues. Files are
written in order, so what lies there is hashed once more and only the rest is asked for.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cortex.artifacts.appending import Growing
from cortex.artifacts.folders import scan, seal, sync, sync_tree, writing
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import SMALL, Store
from cortex.artifacts.streaming import pieces
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError

CONNECTIONS = 8
"""Large files are read over so many connections together, small ones over twice as many."""

ATTEMPTS = 3
"""Readings of one object that gave wrong bytes, before the copy in the store is called damaged."""

READ = 1024 * 1024
SLACK = 16 * 1024 * 1024
"""Bytes of free disk that must be left: for folders, the manifest, and what else is being written."""

Advance = Callable[[int], None]
"""Told of every byte that was verified or fetched, as it is; a negative number takes bytes back."""


def receive(store: Store, prefix: str, manifest: Manifest, target: Path, advance: Advance = lambda _: None) -> None:
    """Make `target` a verified copy of the artifact under `prefix`. A damaged copy that lies there is repaired.

    Raises:
        RefusedError: something else lies at `target`, or another download into it is under way.
        VerificationError: the store's copy is damaged; what was right is kept beside the target for the next attempt.
        ConfigError: the disk is full or cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with writing(target):
        part.parent.mkdir(parents=True, exist_ok=True)
    if _already(target, part, manifest):
        advance(manifest.size)
        return
    with _alone(part):
        _tidy(part, manifest)
        _require_space(part, manifest)
        large = [entry for entry in manifest.files if entry.size > SMALL]
        small = [entry for entry in manifest.files if entry.size <= SMALL]
        at_once = min(CONNECTIONS, len(large)) or 1
        with ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="piece") as pool:
            # Where files are fewer than connections, each is read over several.
            ahead = CONNECTIONS // at_once - 1
            in_parallel(_Fetch(store, prefix, part, advance, pool if ahead else None, ahead), large, at_once)
        in_parallel(_Fetch(store, prefix, part, advance), small, 2 * CONNECTIONS)
        with writing(target):
            seal(part, manifest.data)
            sync_tree(part, files=False)
            part.rename(target)
            sync(target.parent)


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
        raise VerificationError(
            f"{self._store.url}/{self._prefix}/{entry.name} is damaged: read {ATTEMPTS} times, it never had the "
            f"SHA-256 of its manifest ({entry.sha256[:12]}); publish the artifact again"
        )

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
            for piece in rest:
                digest.update(piece)
                with writing(self._part / entry.name):
                    file.append(piece)
                have += len(piece)
                self._advance(len(piece))
        if have == entry.size and digest.hexdigest() == entry.sha256:
            return True
        self._advance(-have)
        file.clear()
        return False


def _already(target: Path, part: Path, manifest: Manifest) -> bool:
    """Whether a right copy lies there. A damaged one becomes the part that the download continues."""
    if not os.path.lexists(target):
        return False
    if not target.is_dir() or target.is_symlink():
        raise RefusedError(f"{target} is no folder of its own: give another place with --to")
    if not any(target.iterdir()):
        return False
    try:
        there = Manifest.read(target).digest
    except VerificationError:
        there = manifest.digest  # its manifest is damaged: the files tell
    except DataError as error:
        raise RefusedError(f"{target} holds other files already: give another place with --to") from error
    if there != manifest.digest:
        raise RefusedError(f"{target} holds another artifact ({there[:12]}): give another place with --to")
    found = verify(target, manifest)
    if found.extra:
        raise RefusedError(f"{found}: move the extra files away, then download again")
    if found.ok:
        return True
    if part.exists():
        raise RefusedError(f"{found}, and {part} is there too: remove one of them, then download again")
    target.rename(part)
    return False


@contextmanager
def _alone(part: Path) -> Generator[None]:
    """Hold the part folder against a second download; the kernel lets go of it when this process ends."""
    with writing(part):
        part.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"{part} is being written by another download: let it end") from error
        if not part.is_dir() or os.fstat(descriptor).st_ino != part.stat().st_ino:
            raise RefusedError(f"{part} was finished by another download just now: run this again")
        yield
    finally:
        os.close(descriptor)


def _tidy(part: Path, manifest: Manifest) -> None:
    """Remove from the part folder what the artifact does not hold, links above all: nothing is written through one."""
    contents = scan(part)
    listed = {entry.name for entry in manifest.files}
    for name in (*contents.odd, *(name for name in contents.files if name not in listed), MANIFEST):
        (part / name).unlink(missing_ok=True)
    for entry in manifest.files:
        if (part / entry.name).is_dir():
            shutil.rmtree(part / entry.name)


def _require_space(part: Path, manifest: Manifest) -> None:
    have = sum((part / name).stat().st_size for name in scan(part).files)
    needed = manifest.size - have + SLACK
    free = shutil.disk_usage(part).free
    if free < needed:
        raise ConfigError(
            f"{part} needs {needed / 2**30:.1f} GiB and its disk has {free / 2**30:.1f} GiB free: "
            "make room, or give another place with --to"
        )
