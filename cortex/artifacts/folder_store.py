"""A store in a folder of this machine. Every write is prepared aside and appears by one rename or link."""

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cortex.artifacts.file_names import check_key
from cortex.artifacts.folders import scan, sync, sync_tree, write_whole
from cortex.artifacts.hashing import FileHash, hash_file
from cortex.artifacts.store import PIECE, MissingObjectError, Store, StoredObject, StoreError
from cortex.limits import OBJECTS, RECORD_BYTES, TooLargeError, open_file, read_file

INCOMING = ".incoming"
"""The folder where writes are prepared: on the store's own file system, and left out of every listing."""


class FolderStore(Store):
    """A store whose objects are files. The first write makes the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        super().__init__(str(self.root))

    def local_path(self, key: str) -> Path:
        """The path of a key's file or folder; the store's own folder for the empty key.

        Raises:
            VerificationError: the key would lead out of the store.
        """
        return self.root / check_key(key) if key else self.root

    def put(self, key: str, data: bytes) -> None:
        target = self.local_path(key)
        with self._incoming() as aside:
            write_whole(aside, data)
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(target)
            sync(target.parent)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        target = self.local_path(key)
        with self._incoming() as aside:
            write_whole(aside, data)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                # A link, unlike a rename, fails where a file already exists, so that exactly one caller wins.
                os.link(aside, target)
            except FileExistsError:
                return False
            sync(target.parent)
            return True

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        with self._reading(key) as path:
            return read_file(path, limit)

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        with self._reading(key) as path, open_file(path) as file:
            file.seek(start)
            return memoryview(file.read(length))

    def stream(self, key: str, start: int, length: int) -> Generator[memoryview]:
        stop = start + length
        while piece := self.get_range(key, start, min(PIECE, stop - start)):
            yield piece
            start += len(piece)

    def size(self, key: str) -> int:
        with self._reading(key) as path, open_file(path) as file:
            return os.fstat(file.fileno()).st_size

    def exists(self, key: str) -> bool:
        return self.local_path(key).is_file()

    def folders(self, prefix: str = "") -> list[str]:
        folder = self.local_path(prefix.rstrip("/"))
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.name != INCOMING and path.is_dir())

    def list(self, prefix: str = "") -> list[StoredObject]:
        prefix = prefix.rstrip("/")
        folder = self.local_path(prefix)
        found: list[StoredObject] = []
        top, incoming = os.path.join(self.root, ""), str(self.root / INCOMING)  # noqa: PTH118 - with its final slash
        pending = [str(folder)]
        # Without recursion, since anybody who can write there chooses how deep it is.
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            pending += [entry.path] if entry.path != incoming else []
                        elif entry.is_file(follow_symlinks=False):  # links, pipes and devices are no objects
                            status = entry.stat(follow_symlinks=False)
                            found.append(StoredObject(entry.path[len(top) :], status.st_size, status.st_mtime))
            except (FileNotFoundError, NotADirectoryError):
                continue  # deleted during this listing
            except OSError as error:
                raise StoreError(f"{error.filename} cannot be listed: {error.strerror or error}") from error
            if len(found) > OBJECTS:
                raise TooLargeError(f"{folder} holds more than {OBJECTS:,} files: it is no store of runs")
        return sorted(found, key=lambda entry: entry.key)

    def upload(self, path: Path, key: str) -> FileHash:
        target = self.local_path(key)
        with self._incoming() as aside:
            shutil.copyfile(path, aside)
            sync(aside)
            copied = hash_file(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.replace(target)
            sync(target.parent)
        return copied

    def download(self, key: str, path: Path) -> None:
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        try:
            with self._reading(key) as source:
                shutil.copyfile(source, part)
            sync(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def delete(self, prefix: str) -> int:
        target = self.root / check_key(prefix.rstrip("/"))
        if not os.path.lexists(target):
            return 0
        count = len(self.list(prefix)) if target.is_dir() else 1
        # Removed from sight by one rename, so that a reader never sees half of it.
        with self._incoming() as aside:
            target.rename(aside)
            sync(target.parent)
        return count

    def adopt(self, folder: Path, key: str, *, keep: bool) -> bool:
        """Make a whole folder appear under a key, by one rename; False where a folder with content exists already.

        Without `keep` the folder itself is moved, if it lies on the store's file system.
        """
        target = self.local_path(key)
        with self._incoming() as aside:
            target.parent.mkdir(parents=True, exist_ok=True)
            apart = keep or folder.stat().st_dev != target.parent.stat().st_dev
            for source in (aside,) if apart else (folder, aside):
                if source is aside:
                    shutil.copytree(folder, aside, symlinks=True)
                sync_tree(source)
                try:
                    source.rename(target)
                    break
                except OSError as error:
                    if error.errno == errno.EXDEV and source is folder:
                        continue  # in a container, two folders of one file system may be two mounts
                    if scan(target).files:
                        return False
                    raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
            sync(target.parent)
        if not keep and folder.exists():
            shutil.rmtree(folder)
        return True

    def sweep(self) -> None:
        """Remove what killed writers left behind, unless another writer is at work."""
        folder = self.root / INCOMING
        if not folder.is_dir():
            return
        with (folder / "lock").open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for path in folder.iterdir():
                if path.name != "lock":
                    _remove(path)

    @contextmanager
    def _incoming(self) -> Generator[Path]:
        """A path to prepare one write at. The shared lock tells `sweep` that somebody is at work."""
        folder = self.root / INCOMING
        aside = folder / secrets.token_hex(8)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "lock").open("a", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
                try:
                    yield aside
                finally:
                    _remove(aside)
        except OSError as error:
            raise StoreError(f"{self.root} cannot be written: {error.strerror or error}") from error

    @contextmanager
    def _reading(self, key: str) -> Generator[Path]:
        path = self.local_path(key)
        try:
            yield path
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise MissingObjectError(f"{self.root} has no {key!r}") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
