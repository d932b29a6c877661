"""The folder `<target>.part`, where one download at a time collects an artifact; a rename then publishes it whole."""

import fcntl
import os
import shutil
import stat
from collections.abc import Generator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.file_names import SIDECARS
from cortex.artifacts.folders import explaining_write_errors, scan, seal, sync, sync_tree
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.artifacts.partial import NOTHING, entries_without, is_in
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError

SLACK = 16 * 1024 * 1024
"""Bytes of disk that must stay free: for folders, the manifest, and other programs' writes."""

UNWANTED = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH
"""Permissions that are removed from every file of an artifact, whatever the sending machine set."""


@dataclass(frozen=True)
class Part:
    """The folder `<target>.part`, held for one download."""

    path: Path
    lock: int
    """The descriptor that holds the folder's lock. A program that writes there inherits it, and the lock with it."""


@contextmanager
def landing(target: Path, manifest: Manifest, *, left_out: Set[str] = NOTHING) -> Generator[Part | None]:
    """Yield the part folder to fill with verified, synced files; leaving the block publishes it as `target`.

    Yields None if a right copy is at `target` already. A damaged copy becomes the part that the download continues.
    Nothing is to be filled in for the folders of `left_out`.

    Raises:
        RefusedError: something else is at `target`, or another download into it is under way, or one of more folders
            was broken off.
        ConfigError: the disk is full or cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with explaining_write_errors(target):
        part.parent.mkdir(parents=True, exist_ok=True)
    if _has_right_copy(target, part, manifest, left_out):
        yield None
        return
    with _locked(part) as lock:
        _tidy(part, manifest)
        _require_none_of(part, left_out)
        _require_space(part, entries_without(manifest, left_out))
        yield Part(part, lock)
        with explaining_write_errors(target):
            _require_exact(part, manifest)
            seal(part, manifest.data)
            sync_tree(part, files=False)
            part.rename(target)
            sync(target.parent)


def _has_right_copy(target: Path, part: Path, manifest: Manifest, left_out: Set[str]) -> bool:
    """Tell if a right copy is at `target`. A damaged one becomes the part that the download continues."""
    if not os.path.lexists(target):
        return False
    if not target.is_dir() or target.is_symlink():
        raise RefusedError(f"{target} is no folder of its own: give another place with --to")
    if not any(target.iterdir()):
        return False
    try:
        there = Manifest.read(target).digest
    except VerificationError:
        there = manifest.digest  # its manifest is damaged, so the files decide
    except DataError as error:
        raise RefusedError(f"{target} holds other files already: give another place with --to") from error
    if there != manifest.digest:
        raise RefusedError(f"{target} holds another artifact ({there[:12]}): give another place with --to")
    found = verify(target, manifest, left_out=left_out)
    if found.extra:
        raise RefusedError(f"{found}: move the extra files away, then download again")
    if found.ok:
        return True
    if part.exists():
        raise RefusedError(f"{found}, and {part} is there too: remove one of them, then download again")
    target.rename(part)
    return False


@contextmanager
def _locked(part: Path) -> Generator[int]:
    """Lock the part folder against a second download; the kernel releases the lock when this process ends."""
    with explaining_write_errors(part):
        part.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(f"{part} is being written by another download: let it end") from error
        if not part.is_dir() or os.fstat(descriptor).st_ino != part.stat().st_ino:
            raise RefusedError(f"{part} was finished by another download just now: run this again")
        yield descriptor
    finally:
        os.close(descriptor)


def _tidy(part: Path, manifest: Manifest) -> None:
    """Remove everything from the part folder that is not the artifact's, links above all: writes would follow them."""
    contents = scan(part)
    listed = {entry.name for entry in manifest.files}
    for name in (*contents.odd, *(name for name in contents.files if name not in listed), MANIFEST):
        (part / name).unlink(missing_ok=True)
    for entry in manifest.files:
        if (part / entry.name).is_dir():
            shutil.rmtree(part / entry.name)


def _require_exact(part: Path, manifest: Manifest) -> None:
    """Refuse files that the manifest does not list: the sender may have sent more than was asked for.

    Raises:
        VerificationError: there are files that are not listed, links, or devices.
    """
    for name in SIDECARS:
        (part / name).unlink(missing_ok=True)
    contents = scan(part)
    listed = {entry.name for entry in manifest.files}
    stray = [*contents.odd, *(name for name in contents.files if name not in listed)]
    if stray:
        raise VerificationError(f"{part} was given {stray[0]!a}, which its manifest does not list: remove the folder")
    for name in contents.files:
        mode = (part / name).lstat().st_mode
        if mode & UNWANTED:
            (part / name).chmod(stat.S_IMODE(mode) & ~UNWANTED)


def _require_none_of(part: Path, left_out: Set[str]) -> None:
    begun = [name for name in scan(part).files if is_in(name, left_out)]
    if begun:
        raise RefusedError(
            f"{part} holds a download of more, which was broken off ({begun[0]!a}): download all of it, or remove it"
        )


def _require_space(part: Path, wanted: Sequence[FileEntry]) -> None:
    have = sum((part / name).stat().st_size for name in scan(part).files)
    needed = sum(entry.size for entry in wanted) - have + SLACK
    free = shutil.disk_usage(part).free
    if free < needed:
        raise ConfigError(
            f"{part} needs {needed / 2**30:.1f} GiB and its disk has {free / 2**30:.1f} GiB free: "
            "make room, or give another place with --to"
        )
