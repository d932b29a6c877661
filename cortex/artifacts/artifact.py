"""Artifacts: folders that are complete once their manifest is written, and never change afterwards."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from cortex.artifacts.creating import create
from cortex.artifacts.describe import RELEASE, Origin, contents, describe, describe_as, write_sums
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.folders import seal
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.sending import send
from cortex.artifacts.store import MissingObjectError, Store
from cortex.artifacts.verify import verify
from cortex.errors import RefusedError, VerificationError
from cortex.limits import MANIFEST_BYTES

__all__ = ["Artifact", "describe", "fetch", "find", "publish", "read_verified", "require"]


@dataclass(frozen=True)
class Artifact:
    """A complete artifact on this machine: its folder and its manifest."""

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
    code_of: Callable[[Manifest], str] | None = None,
) -> Artifact:
    """Publish a folder as an artifact under `prefix`: every file first, the manifest last.

    A folder store takes the folder over by a rename (`keep` copies it instead). A bucket gets copies of its files, each
    read back before the manifest is written. `inputs` are the digests of the manifests that it was made from; `code` is
    by default this code's version; the authentication code that `code_of` makes of the manifest is added to its `meta`.
    Publishing the same folder again changes nothing; after a kill it continues.

    Raises:
        DataError: the folder holds links, unsafe names, or a file that changed meanwhile.
        RefusedError: another artifact is already there, or the lease was lost.
        StoreError: the bucket did not answer for as long as its patience lasts.
    """
    if lease:
        lease.check()
    origin = Origin.of(kind, inputs, code, profile, seeds, meta, code_of)
    there = find(store, prefix)
    if there is None and isinstance(store, FolderStore):
        return _publish_in_folder(folder, store, prefix, origin, lease, keep=keep)
    present = {entry.key: entry.size for entry in store.list(prefix)} if there is None else {}
    if f"{prefix}/{MANIFEST}" in present:
        there = find(store, prefix)  # somebody published meanwhile: their files must not be replaced
    if there is None:
        return _publish_in_bucket(folder, store, prefix, origin, present, lease)
    manifest = describe_as(origin, folder)
    _require_same(store, prefix, there, manifest)
    seal(folder, manifest.data)
    return Artifact(store.local_path(prefix) or folder, manifest)


def find(store: Store, prefix: str) -> Manifest | None:
    """The manifest of the artifact under `prefix`; None while there is no complete artifact.

    Raises:
        VerificationError: the object there is not a manifest.
    """
    key = f"{prefix}/{MANIFEST}"
    try:
        return Manifest.parse(store.get(key, MANIFEST_BYTES), f"{store.url}/{key}")
    except MissingObjectError:
        return None


def require(store: Store, prefix: str) -> Manifest:
    """The manifest of the complete artifact under `prefix`.

    Raises:
        MissingObjectError: there is no complete artifact.
        VerificationError: the object there is not a manifest.
    """
    manifest = find(store, prefix)
    if manifest is None:
        raise MissingObjectError(f"{store.url}/{prefix} holds no complete artifact: run the stage that makes it")
    return manifest


def read_verified(store: Store, prefix: str, manifest: Manifest, name: str, limit: int) -> bytes:
    """One small file of an artifact, verified against its manifest. It may have `limit` bytes at most.

    Raises:
        VerificationError: the manifest does not list it or states a larger size, or its bytes differ.
    """
    where = f"{store.url}/{prefix}/{name}"
    entry = next((entry for entry in manifest.files if entry.name == name), None)
    if entry is None or entry.size > limit:
        stated = "does not list it" if entry is None else f"states {entry.size:,} bytes, of the {limit:,} it may have"
        raise VerificationError(f"{where}: its manifest {stated}: it is not printed")
    data = store.get(f"{prefix}/{name}", entry.size)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise VerificationError(f"{where} is not what its manifest says: publish the artifact again")
    return data


def fetch(store: Store, prefix: str, cache: Path) -> Artifact:
    """Bring an artifact to this machine, and verify every byte. In a folder store it is used in place.

    From a bucket it is downloaded into a folder of `cache` named by its digest; right files that are there already are
    not downloaded again.

    Raises:
        MissingObjectError: there is no complete artifact under `prefix`.
        VerificationError: the bytes are not what the manifest says.
    """
    manifest = require(store, prefix)
    folder = store.local_path(prefix)
    if folder is None:
        folder = cache / manifest.digest
        receive(store, prefix, manifest, folder)
    else:
        verify(folder, manifest).require()
    return Artifact(folder, manifest)


def _publish_in_folder(
    folder: Path, store: FolderStore, prefix: str, origin: Origin, lease: Lease | None, *, keep: bool
) -> Artifact:
    store.sweep()
    manifest = describe_as(origin, folder)
    seal(folder, manifest.data)
    if lease:
        lease.check()
    target = store.local_path(prefix)
    # The file system refuses to rename onto a folder with content, so that of two publishers one comes first.
    if not store.adopt(folder, prefix, keep=keep):
        there = find(store, prefix)
        if there is None:
            raise RefusedError(f"{target} holds files that are no artifact: move them away, then publish again")
        _require_same(store, prefix, there, manifest)
    return Artifact(target, manifest)


def _publish_in_bucket(
    folder: Path, store: Store, prefix: str, origin: Origin, present: Mapping[str, int], lease: Lease | None
) -> Artifact:
    check = lease.throttled_check() if lease else _no_check
    names = contents(folder, origin)
    entries = send(folder, names, store, prefix, present, check)
    if origin.kind == RELEASE:
        entries += send(folder, write_sums(folder, entries), store, prefix, present, check)
    manifest = origin.manifest(entries)
    seal(folder, manifest.data)
    # Looked up once more, for stores without conditional writes, which would replace a manifest; `create` then checks
    # the lease right before it writes.
    there = find(store, prefix)
    if there is None:
        create(store, f"{prefix}/{MANIFEST}", manifest.data, lease.check if lease else _no_check)
        # Read back, since another publisher may have been first.
        there = find(store, prefix)
    if there is None:
        raise VerificationError(f"{store.url}/{prefix}/{MANIFEST} was written and is not there: publish again")
    _require_same(store, prefix, there, manifest)
    return Artifact(folder, manifest)


def _require_same(store: Store, prefix: str, there: Manifest, manifest: Manifest) -> None:
    if there.digest != manifest.digest:
        raise RefusedError(
            f"{store.url}/{prefix} already holds another artifact ({there.digest[:12]}, not {manifest.digest[:12]}): "
            "artifacts never change; publish under another name, or start a new run"
        )


def _no_check() -> None:
    """The check without a lease: nobody else is expected to write."""
