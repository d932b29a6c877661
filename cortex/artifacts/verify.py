"""Verification of a folder, byte for byte, against its manifest."""

from collections.abc import Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cortex.artifacts.folders import scan
from cortex.artifacts.hashing import WORKERS, hash_file
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.partial import NOTHING, absent_folders, entries_without, is_in
from cortex.errors import DataError, VerificationError

SHOWN = 5


@dataclass(frozen=True)
class Verification:
    """The result of verifying one folder. Names are sorted."""

    folder: Path
    manifest: Manifest
    differing: tuple[str, ...]
    """Listed files whose size or bytes differ, that cannot be read, or that are links now."""
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    """Files in the folder that are not listed, links included; the manifest and its signature are not counted."""
    left_out: tuple[str, ...] = ()
    """Folders of the artifact that are absent on purpose, each of them whole."""

    @property
    def ok(self) -> bool:
        return not (self.differing or self.missing or self.extra)

    def __str__(self) -> str:
        if self.ok:
            there = entries_without(self.manifest, set(self.left_out))
            size = sum(entry.size for entry in there)
            absent = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
            return f"{self.folder}: {len(there)} files, {size:,} bytes, all as published{absent}"
        parts = [
            f"{len(names)} {what} ({', '.join(ascii(name) for name in names[:SHOWN])}{', ...' * (len(names) > SHOWN)})"
            for what, names in (("differ", self.differing), ("missing", self.missing), ("extra", self.extra))
            if names
        ]
        return f"{self.folder} is not what its manifest says: {'; '.join(parts)}"

    def require(self) -> None:
        """Raise a `VerificationError` if the folder differs from its manifest."""
        if not self.ok:
            raise VerificationError(f"{self}: fetch the artifact again")


def verify(
    folder: Path, manifest: Manifest | None = None, workers: int = WORKERS, *, left_out: Set[str] = NOTHING
) -> Verification:
    """Hash every file of an artifact's folder and compare with the manifest, by default the folder's own.

    Folders of `left_out` may be absent, each as a whole; one that is there is verified as all others.

    Raises:
        DataError: the folder has no manifest.
        VerificationError: its manifest is invalid.
    """
    manifest = manifest or Manifest.read(folder)
    try:
        contents = scan(folder)
    except OSError as error:
        raise VerificationError(f"{error.filename} cannot be listed: {error.strerror}") from error
    listed = {entry.name for entry in manifest.files}
    present = set(contents.files)
    odd = set(contents.odd)
    to_read = [entry for entry in manifest.files if entry.name in present]
    same = in_parallel(partial(_is_same, folder), to_read, workers)
    damaged = {entry.name for entry, good in zip(to_read, same, strict=True) if not good}
    listed_folders = {name.partition("/")[0] for name in listed if "/" in name}
    absent = absent_folders(set(left_out) & listed_folders, present | odd)
    return Verification(
        folder=folder,
        manifest=manifest,
        differing=tuple(sorted(damaged | (listed & odd))),
        missing=tuple(sorted(name for name in listed - present - odd if not is_in(name, absent))),
        extra=tuple(sorted((present | odd) - listed)),
        left_out=tuple(sorted(absent)),
    )


def _is_same(folder: Path, entry: FileEntry) -> bool:
    path = folder / entry.name
    try:
        if path.lstat().st_size != entry.size:
            return False
        return hash_file(path).sha256 == entry.sha256
    except (OSError, DataError):
        return False  # unreadable, or still being written: either way not the published bytes
