"""A small disk for one folder: a file system in memory, whose size can be changed while it is in use."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from cortex.errors import StageError


class SmallDisk:
    """A small disk over a folder, with a copy of its content on entry. Leaving the block discards the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> "SmallDisk":
        aside = self._folder.with_name(f"{self._folder.name}-aside")
        self._folder.rename(aside)
        self._folder.mkdir()
        _call("mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", self._folder)
        shutil.copytree(aside, self._folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _call("umount", "--lazy", self._folder)

    def leave(self, size: int) -> None:
        """Set the size so that this many more bytes fit."""
        disk = os.statvfs(self._folder)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        _call("mount", "-o", f"remount,size={used + size}", self._folder)


def why_no_small_disk() -> str | None:
    """Reason why this machine cannot have such a disk; None where it can."""
    if os.geteuid() != 0:
        return "a small disk can be mounted by root alone"
    if not (shutil.which("mount") and shutil.which("umount")):
        return "mount is not installed"
    return None


def _call(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode:
        raise StageError(f"{command[0]} failed: {' '.join(done.stderr.split())}")
