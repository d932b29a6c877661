"""Download of a run's release: all bytes are verified, the folder appears whole or not at all, a receipt is written."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cortex.artifacts.artifact import find
from cortex.artifacts.code_version import code_version
from cortex.artifacts.file_names import LARGEST_SIGNATURE, MANIFEST, SIGNATURE
from cortex.artifacts.folders import explaining_write_errors, write_whole
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.receiving import Advance, receive
from cortex.artifacts.signature import sign
from cortex.artifacts.store import Store
from cortex.artifacts.trust import Signer, Trust, find_signature, read_signature
from cortex.artifacts.verify import verify
from cortex.errors import DataError, VerificationError
from cortex.limits import MANIFEST_BYTES, read_file
from cortex.runs.context import artifact_prefix


def release_of(store: Store, run: str) -> Manifest:
    """The manifest of a run's release in its bucket.

    Raises:
        DataError: the run has no complete release yet.
        VerificationError: the object there is not a manifest.
    """
    manifest = find(store, artifact_prefix(run, "release"))
    if manifest is None:
        raise DataError(f"run {run} has no release in {store.url}: see how far it is with `cortex show {run}`")
    return manifest


def release_folder(home: Path, run: str, to: Path | None = None) -> Path:
    """The folder for a release: `to`, or by default one under the kit's home."""
    return (to or home / "releases" / run).expanduser().absolute()


def download(
    run: str,
    store: Store,
    home: Path,
    to: Path | None = None,
    *,
    trust: Trust | None = None,
    advance: Advance = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Receipt:
    """Download a run's release to this disk, and write the receipt that `teardown` asks for.

    After a kill at any point the same call continues. A correct copy that is there already is hashed again and kept.

    Raises:
        DataError: there is no release, or the bucket does not answer (`StoreError`).
        VerificationError: the bucket's copy is damaged.
        RefusedError: something else lies at the place, or another download into it is under way; or `trust` asks for a
            signature that the release does not have, which is checked before a byte is fetched.
        ConfigError: the disk is full or cannot be written.
    """
    manifest = release_of(store, run)
    prefix = artifact_prefix(run, "release")
    target = release_folder(home, run, to)
    if trust:
        trust.require(run, trust.signer(manifest, find_signature(store, prefix)))
    receive(store, prefix, manifest, target, advance)
    bring_signature(store, prefix, manifest, target, trust or Trust())
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
    """Write the receipt that a verified copy lies at `target`, and where it came from."""
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
    """Write a signature, atomically, beside a release's files."""
    with explaining_write_errors(folder):
        aside = folder.with_name(f".{secrets.token_hex(8)}")
        write_whole(aside, signature)
        aside.replace(folder / SIGNATURE)


def attach_signature(store: Store, run: str, folder: Path) -> None:
    """Copy the signature of a downloaded release beside the bucket's copy, too.

    Raises:
        DataError: the folder is not the run's release.
    """
    if Manifest.read(folder).digest != release_of(store, run).digest:
        raise DataError(f"{folder} is not the release of run {run}: download it, then sign that")
    signature = read_signature(folder)
    if signature is None or len(signature) > LARGEST_SIGNATURE:
        raise DataError(f"{folder} has no {SIGNATURE} that could be put beside the bucket's copy: sign it again")
    store.put(f"{artifact_prefix(run, 'release')}/{SIGNATURE}", signature)


def bring_signature(store: Store, prefix: str, manifest: Manifest, target: Path, trust: Trust) -> None:
    """Copy the bucket's signature beside the files, unless the one there is by a known key and the bucket's is not."""
    signature = find_signature(store, prefix)
    if signature is None or len(signature) > LARGEST_SIGNATURE:
        return
    if trust.signer(manifest, signature).known or not trust.signer(manifest, read_signature(target)).known:
        put_signature(target, signature)


def sign_release(run: str, store: Store, folder: Path, key: Path | None) -> None:
    """Verify a run's release on this disk, sign it, and copy the signature beside the bucket's copy, too.

    The private key stays on this machine; rented machines never have it.

    Raises:
        VerificationError: the folder is not the bucket's release.
        ConfigError: the key cannot be used.
    """
    published = release_of(store, run)
    verify(folder, published).require()
    if read_file(folder / MANIFEST, MANIFEST_BYTES) != published.data:
        raise VerificationError(f"{folder} is not the release of run {run}: cortex download {run}")
    sign(folder, key)
    attach_signature(store, run, folder)


def signer_of(store: Store, run: str, trust: Trust) -> Signer:
    """The signer of the release in a run's bucket.

    Raises:
        DataError: there is no release.
        VerificationError, ConfigError: as `Trust.signer`.
    """
    return trust.signer(release_of(store, run), find_signature(store, artifact_prefix(run, "release")))
