"""Artifacts: folders that exist from the moment their manifest does, and never change after."""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from cortex.artifacts.code_version import code_version
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.folders import scan, write_whole
from cortex.artifacts.hashing import hash_files
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.artifacts.names import check_names
from cortex.artifacts.store import MissingObjectError, Store
from cortex.artifacts.verify import verify
from cortex.errors import DataError, RefusedError

TRANSFERS = 8
"""Files that are sent or fetched at a time."""


@dataclass(frozen=True)
class Artifact:
    """A complete artifact on this machine: its folder, and what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        return self.manifest.digest


def publish(
    folder: Path,
    store: Store,
    prefix: str,
    *,
    kind: str,
    inputs: Mapping[str, str] | None = None,
    code: str | None = None,
    profile: str | None = None,
    seeds: Mapping[str, int] | None = None,
    meta: Mapping[str, JsonValue] | None = None,
    lease: Lease | None = None,
    keep: bool = False,
) -> Artifact:
    """Make a folder an artifact of the store, under `prefix`: every file first, the manifest last.

    A folder store takes the folder over by a rename (`keep` copies it instead); a bucket gets copies of its files.
    `inputs` are the digests of the manifests it was made from; `code` is by default this code's version. Publishing
    the same again changes nothing.

    Raises:
        DataError: the folder holds links, names that cannot be kept, or a file that changed meanwhile.
        RefusedError: another artifact is already there, or the lease was lost.
    """
    if lease:
        lease.check()
    manifest = describe(folder, kind=kind, inputs=inputs, code=code, profile=profile, seeds=seeds, meta=meta)
    if _is_there(store, prefix, manifest):
        write_whole(folder / MANIFEST, manifest.data)
        return Artifact(store.local_path(prefix) or folder, manifest)
    if isinstance(store, FolderStore):
        return _adopt(folder, store, prefix, manifest, lease, keep=keep)
    return _send(folder, store, prefix, manifest, lease)


def describe(
    folder: Path,
    *,
    kind: str,
    inputs: Mapping[str, str] | None = None,
    code: str | None = None,
    profile: str | None = None,
    seeds: Mapping[str, int] | None = None,
    meta: Mapping[str, JsonValue] | None = None,
) -> Manifest:
    """Hash a folder's files into a manifest, without writing it.

    Raises:
        DataError: there is no such folder, or it holds links, names that cannot be kept, or a file that changed.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise DataError(f"{folder} is not a folder: give the one that holds the artifact's files")
    _refuse_foreign_manifest(folder)
    contents = scan(folder)
    if contents.odd:
        raise DataError(f"{folder} holds {contents.odd[0]!a}, which is no plain file: put a copy of the file there")
    check_names(contents.files)
    hashes = hash_files([folder / name for name in contents.files])
    return Manifest(
        kind=kind,
        files=tuple(
            FileEntry(name=name, size=found.size, sha256=found.sha256)
            for name, found in zip(contents.files, hashes, strict=True)
        ),
        inputs=dict(inputs or {}),
        code=code_version() if code is None else code,
        profile=profile,
        seeds=dict(seeds or {}),
        meta=dict(meta or {}),
    )


def find(store: Store, prefix: str) -> Manifest | None:
    """The manifest of the artifact under `prefix`, or None while there is no complete one.

    Raises:
        VerificationError: what lies there is not a manifest.
    """
    key = f"{prefix}/{MANIFEST}"
    try:
        return Manifest.parse(store.get(key), f"{store.url}/{key}")
    except MissingObjectError:
        return None


def fetch(store: Store, prefix: str, cache: Path) -> Artifact:
    """Bring an artifact to this machine, verified to the byte; a folder store's is used where it lies.

    From a bucket it comes into a folder of `cache` named by its digest; what is there already, and right, is used.

    Raises:
        MissingObjectError: there is no complete artifact under `prefix`.
        VerificationError: the bytes are not what the manifest says.
    """
    manifest = find(store, prefix)
    if manifest is None:
        raise MissingObjectError(f"{store.url}/{prefix} holds no complete artifact: run the stage that makes it")
    folder = store.local_path(prefix)
    if folder is None:
        return _download(store, prefix, manifest, cache)
    verify(folder, manifest).require()
    return Artifact(folder, manifest)


def _refuse_foreign_manifest(folder: Path) -> None:
    """A manifest left by an earlier attempt is ours to overwrite; a file that only shares its name is not."""
    if (folder / MANIFEST).exists():
        Manifest.read(folder)


def _is_there(store: Store, prefix: str, manifest: Manifest) -> bool:
    present = find(store, prefix)
    if present is not None and present.digest != manifest.digest:
        raise RefusedError(
            f"{store.url}/{prefix} already holds another artifact ({present.digest[:12]}, not {manifest.digest[:12]}): "
            "artifacts never change; publish under another name, or start a new run"
        )
    return present is not None


def _adopt(
    folder: Path, store: FolderStore, prefix: str, manifest: Manifest, lease: Lease | None, *, keep: bool
) -> Artifact:
    store.sweep()
    write_whole(folder / MANIFEST, manifest.data)
    if lease:
        lease.check()
    target = store.local_path(prefix)
    # Refused by the file system where a folder with content is: of two publishers at once, one is first.
    if not store.adopt(folder, prefix, keep=keep) and not _is_there(store, prefix, manifest):
        raise RefusedError(f"{target} holds files that are no artifact: move them away, then publish again")
    return Artifact(target, manifest)


def _send(folder: Path, store: Store, prefix: str, manifest: Manifest, lease: Lease | None) -> Artifact:
    def send(entry: FileEntry) -> None:
        store.upload(folder / entry.name, f"{prefix}/{entry.name}")

    with ThreadPoolExecutor(max_workers=TRANSFERS, thread_name_prefix="send") as pool:
        list(pool.map(send, manifest.files))
    # A file that changed between its hashing and its sending would be published wrong.
    verify(folder, manifest).require()
    write_whole(folder / MANIFEST, manifest.data)
    if lease:
        lease.check()
    if not store.put_if_absent(f"{prefix}/{MANIFEST}", manifest.data):
        _is_there(store, prefix, manifest)
    return Artifact(folder, manifest)


def _download(store: Store, prefix: str, manifest: Manifest, cache: Path) -> Artifact:
    folder = cache / manifest.digest
    if folder.is_dir() and verify(folder, manifest).ok:
        return Artifact(folder, manifest)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".part-") as part:
        aside = Path(part, "artifact")
        aside.mkdir()

        def bring(entry: FileEntry) -> None:
            (aside / entry.name).parent.mkdir(parents=True, exist_ok=True)
            store.download(f"{prefix}/{entry.name}", aside / entry.name)

        with ThreadPoolExecutor(max_workers=TRANSFERS, thread_name_prefix="fetch") as pool:
            list(pool.map(bring, manifest.files))
        write_whole(aside / MANIFEST, manifest.data)
        verify(aside, manifest).require()
        if folder.exists():
            folder.rename(Path(part, "damaged"))
        aside.rename(folder)
    return Artifact(folder, manifest)
