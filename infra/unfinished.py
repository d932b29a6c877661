"""Check that no run is under way that a stack's end would cut off."""

from cortex.artifacts.store import Store
from cortex.errors import RefusedError
from cortex.fleet.status.run_table import Unreadable, read_runs


def require_none(store: Store) -> None:
    """Return if every launched run of the bucket is over.

    A run may be under way without a running machine, while SkyPilot waits for the next one.

    Raises:
        RefusedError: some are not; the message names each, and the command that ends it.
        StoreError: the bucket cannot be read.
    """
    unfinished = [
        found.run for found in read_runs(store) if not isinstance(found, Unreadable) and found.launch and not found.over
    ]
    if unfinished:
        ends = "; ".join(f"`cortex stop {run}`" for run in unfinished)
        raise RefusedError(
            f"{', '.join(unfinished)} of {store.url} may still be under way: {ends}, then run this again"
        )
