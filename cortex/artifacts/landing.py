"""Where an artifact gathers on its way to this disk: beside its place, one download at a time, whole at once."""

import fcntl
import os
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cortex.artifacts.folders import scan, seal, sync, sync_tree, writing
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.names import SIDECARS
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError

SLACK = 16 * 1024 * 1024
"""Bytes of free disk that must be left: for folders, the manifest, and what else is being written."""

UNWANTED = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH
"""Permissions that no file of an artifact keeps, whatever the machine that sent it gave it."""


@dataclass(frozen=True)
class Part:
    """The folder `<target>.part`, held for one download."""

    path: Path
    lock: int
    """The descriptor whose lock holds it. A program that writes there inherits it, and holds the lock as long."""


@contextmanager
def landing(target: Path, manifest: Manifest) -> Generator[Part | None]:
    """Give the part folder to fill with verified, synced files; leaving the block publishes it as `target`.

    None where a right copy lies at `target` already; a damaged one becomes the part that the download continues.

    Raises:
        RefusedError: something else lies at `target`, or another download into it is under way.
        ConfigError: the disk is full or cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    with writing(target):
        part.parent.mkdir(parents=True, exist_ok=True)
    if _already(target, part, manifest):
        yield None
        return
    with _alone(part) as lock:
        _tidy(part, manifest)
        _require_space(part, manifest)
        yield Part(part, lock)
        with writing(target):
            _require_exact(part, manifest)
            seal(part, manifest.data)
            sync_tree(part, files=False)
            part.rename(target)
            sync(target.parent)


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
def _alone(part: Path) -> Generator[int]:
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
        yield descriptor
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


def _require_exact(part: Path, manifest: Manifest) -> None:
    """Refuse what the manifest does not list: whoever filled the folder may have been told more than we asked for.

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


def _require_space(part: Path, manifest: Manifest) -> None:
    have = sum((part / name).stat().st_size for name in scan(part).files)
    needed = manifest.size - have + SLACK
    free = shutil.disk_usage(part).free
    if free < needed:
        raise ConfigError(
            f"{part} needs {needed / 2**30:.1f} GiB and its disk has {free / 2**30:.1f} GiB free: "
            "make room, or give another place with --to"
        )
