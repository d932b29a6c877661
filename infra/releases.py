"""Check that no release would be lost if a stack were taken down now."""

from pathlib import Path

from cortex.artifacts.file_names import MANIFEST, RUNS
from cortex.artifacts.store import Store
from cortex.errors import RefusedError
from cortex.fleet.home.teardown import require_copy
from cortex.runs.context import artifact_prefix


def require_copies(store: Store, home: Path) -> None:
    """Return if a complete and correct copy of every release in the bucket is on this disk.

    Raises:
        RefusedError: a copy is missing; the message names the first release without one, and the command that makes it.
        StoreError: the bucket cannot be read.
    """
    refusals: list[str] = []
    for run in released(store):
        try:
            require_copy(run, store, home)
        except RefusedError as error:
            refusals.append(str(error))
    if refusals:
        others = f" ({len(refusals) - 1} more releases like it)" if len(refusals) > 1 else ""
        raise RefusedError(f"{store.url} stays: {refusals[0]}{others}")


def released(store: Store) -> list[str]:
    """The runs whose release is complete in the bucket."""
    keys = {entry.key for entry in store.list(RUNS)}
    runs = {key.split("/")[1] for key in keys}
    return sorted(run for run in runs if f"{artifact_prefix(run, 'release')}/{MANIFEST}" in keys)
