"""Download of some copies of a release: a folder without the other weights, verified against the whole manifest."""

from collections.abc import Collection
from pathlib import Path

from loguru import logger

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.partial import entries_without
from cortex.artifacts.receiving import Advance, receive
from cortex.artifacts.store import Store
from cortex.artifacts.trust import Trust, find_signature
from cortex.errors import UsageError
from cortex.fleet.home.download import bring_signature, release_folder, release_of
from cortex.models.copies import weight_folders
from cortex.runs.context import artifact_prefix
from cortex.section import nearest


def folders_to_leave(release: Manifest, copies: Collection[str], target: Path) -> set[str]:
    """The folders of weights that a download of these copies leaves out. Those that lie at `target` stay.

    Raises:
        UsageError: the release holds no such copy; the message names those that it holds.
    """
    known = weight_folders(release)
    for name in copies:
        if name not in known:
            raise UsageError(f"the release holds no copy {name!r}: {nearest(name, sorted(known))}")
    return {name for name in known - set(copies) if not (target / name).exists()}


def download_copies(
    run: str,
    store: Store,
    home: Path,
    copies: Collection[str],
    to: Path | None = None,
    *,
    trust: Trust,
    advance: Advance = lambda _: None,
) -> Path:
    """Download these copies of a run's release, and all of it that is no weights, into the folder that is returned.

    It writes no receipt: `teardown` asks for one of the whole release, which `download` makes of this folder.

    Raises:
        UsageError: the release holds no such copy.
        DataError, VerificationError, RefusedError, ConfigError: as `download`.
    """
    manifest, prefix = release_of(store, run), artifact_prefix(run, "release")
    target = release_folder(home, run, to)
    left_out = folders_to_leave(manifest, copies, target)
    trust.require(run, trust.signer(manifest, find_signature(store, prefix)))
    receive(store, prefix, manifest, target, advance, left_out=left_out)
    bring_signature(store, prefix, manifest, target, trust)
    if left_out:
        size = manifest.size - sum(entry.size for entry in entries_without(manifest, left_out))
        logger.info(f"{target}: left out {', '.join(sorted(left_out))} ({size / 1e9:.1f} GB)")
    return target
