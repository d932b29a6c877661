"""Bringing a run's release home: verified to the byte, whole at once, and a receipt at the end."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.code_version import code_version
from cortex.artifacts.folders import write_whole, writing
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.names import SIGNATURE
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.receiving import Advance, receive
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import DataError
from cortex.runs.context import artifact_prefix


def release_of(store: Store, run: str) -> Manifest:
    """The manifest of a run's release in its bucket.

    Raises:
        DataError: the run has no complete release yet.
        VerificationError: what lies there is not a manifest.
    """
    manifest = find(store, artifact_prefix(run, "release"))
    if manifest is None:
        raise DataError(f"run {run} has no release in {store.url}: see how far it is with `cortex show {run}`")
    return manifest


def release_folder(home: Path, run: str, to: Path | None = None) -> Path:
    """Where a release goes: under the kit's home, unless another place is named."""
    return (to or home / "releases" / run).expanduser().absolute()


def download(
    run: str,
    store: Store,
    home: Path,
    to: Path | None = None,
    *,
    advance: Advance = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Receipt:
    """Bring a run's release to this disk, and write the receipt that `teardown` asks for.

    Killed at any point, the same call continues; a right copy that is there already is hashed once more and kept.

    Raises:
        DataError: there is no release, or the bucket does not answer (`StoreError`).
        VerificationError: the bucket's copy is damaged.
        RefusedError: something else lies at the place, or another download into it is under way.
        ConfigError: the disk is full or cannot be written.
    """
    manifest = release_of(store, run)
    prefix = artifact_prefix(run, "release")
    target = release_folder(home, run, to)
    receive(store, prefix, manifest, target, advance)
    _bring_signature(store, prefix, target)
    return write_receipt(run, manifest, target, home, f"{store.url}/{prefix}", "bucket", now())


def write_receipt(
    run: str,
    manifest: Manifest,
    target: Path,
    home: Path,
    source: str,
    via: Literal["bucket", "cluster"],
    verified: datetime,
) -> Receipt:
    """Put down that a verified copy lies at `target`, and where it came from."""
    receipt = Receipt(
        run=run,
        manifest=manifest.digest,
        path=target,
        files=len(manifest.files),
        size=manifest.size,
        source=source,
        via=via,
        verified=verified,
        code=code_version(),
    )
    receipt.write(home)
    return receipt


def put_signature(folder: Path, signature: bytes) -> None:
    """Lay a signature, whole, beside a release's files."""
    with writing(folder):
        aside = folder.with_name(f".{secrets.token_hex(8)}")
        write_whole(aside, signature)
        aside.replace(folder / SIGNATURE)


def attach_signature(store: Store, run: str, folder: Path) -> None:
    """Put a signature, made beside a downloaded release, beside the bucket's copy, too.

    Raises:
        DataError: the folder is not the run's release.
    """
    if Manifest.read(folder).digest != release_of(store, run).digest:
        raise DataError(f"{folder} is not the release of run {run}: download it, then sign that")
    store.put(f"{artifact_prefix(run, 'release')}/{SIGNATURE}", (folder / SIGNATURE).read_bytes())


def _bring_signature(store: Store, prefix: str, target: Path) -> None:
    try:
        signature = store.get(f"{prefix}/{SIGNATURE}")
    except MissingObjectError:
        return
    put_signature(target, signature)
