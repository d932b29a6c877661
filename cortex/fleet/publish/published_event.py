"""The entry of a publication in its run's ledger."""

from cortex.artifacts.store import Store
from cortex.fleet.publish.publication import Publication
from cortex.runs.ledger import Ledger


def record_publication(store: Store, run: str, plan: Publication, commit: str, *, read_back: bool) -> None:
    """Enter which release is where on a hub, at which commit, and how it was verified."""
    # Epoch 0 belongs to no machine: the entry is no sign of life, and takes the run's lease from nobody.
    Ledger(store, run, 0, name="hub").append(
        "published",
        address=plan.address,
        commit=commit,
        manifest=plan.manifest.digest,
        visibility=plan.order.visibility,
        licence=plan.licence,
        files=len(plan.files),
        size=sum(file.size for file in plan.files.values()),
        verified="read back" if read_back else "hashes that the hub reports",
    )
