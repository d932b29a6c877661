"""Teardown of a run's machines, allowed only once a verified copy of its release is on this disk."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from loguru import logger

from cortex.artifacts.lease import Lease
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.store import Store, StoreError
from cortex.artifacts.trust import Trust, read_signature
from cortex.errors import CortexError, DataError, RefusedError, UsageError
from cortex.fleet.home.download import release_of
from cortex.runs.ledger import Ledger


class Machines(Protocol):
    """The jobs, clusters and services that cost a run money."""

    def of_run(self, run: str) -> Sequence[str]:
        """Names of the run's jobs, clusters and services that exist now."""
        ...

    def destroy(self, name: str) -> None:
        """End one of them; no error if it is gone already."""
        ...


def teardown(run: str, store: Store, home: Path, machines: Machines, trust: Trust | None = None) -> tuple[str, ...]:
    """Destroy a run's machines, and return their names; the bucket and the copy stay. A second call finds nothing.

    Raises:
        RefusedError: there is no verified copy here (the message names the command that downloads one), or `trust` asks
            for a signature that the copy does not have.
    """
    receipt = require_copy(run, store, home)
    if trust:
        trust.require(run, trust.signer(release_of(store, run), read_signature(receipt.path)))
    return _destroy(run, store, machines, {"manifest": receipt.manifest, "copy": str(receipt.path)})


def abandon(run: str, typed: str, store: Store, machines: Machines) -> tuple[str, ...]:
    """Destroy a run's machines without a copy of its release, for a user who has typed the run's id in full.

    Raises:
        UsageError: what was typed is not the run's id.
    """
    if typed != run:
        raise UsageError(f"{typed!r} is not {run!r}: nothing was destroyed; type the run's id to abandon it")
    try:
        return _destroy(run, store, machines, {"abandoned": True})
    except StoreError as error:
        # A bucket that is gone must not keep machines that cost money.
        logger.warning(f"abandoning {run} without an entry in its ledger: {error}")
        return _destroy_unrecorded(run, machines)


def require_copy(run: str, store: Store, home: Path) -> Receipt:
    """Check that a complete and correct copy of the bucket's release is on this disk.

    A copy from the run's machine (`download --from-cluster`) counts, too, once the bucket has a release of the same
    digest. While the bucket has none, such a copy was compared only with the machine's own manifest, exists on one disk
    alone, and the machine is still sending the release to the bucket. A user who wants to end that work has to abandon
    the run, by typing its id; the copy stays.

    Raises:
        RefusedError: there is no such copy, or it cannot be checked: no release, no bucket, no receipt, or damage.
    """
    fix = f"bring it home first: cortex download {run}"
    try:
        published = release_of(store, run)
    except DataError as error:
        raise RefusedError(
            f"refusing to tear down {run}: {error}{_describe_cluster_copy(home, run)}; or let it go for good: "
            f"cortex teardown {run} --abandon"
        ) from error
    try:
        receipt = Receipt.read(home, run)
    except DataError as error:
        raise RefusedError(f"refusing to tear down {run}: {error}") from error
    if receipt is None:
        raise RefusedError(f"refusing to tear down {run}: there is no receipt for its release; {fix}")
    try:
        receipt.check(published)
    except RefusedError as error:
        raise RefusedError(f"refusing to tear down {run}: {error}; {fix}") from error
    return receipt


def _describe_cluster_copy(home: Path, run: str) -> str:
    """Part of a message about a copy that came from the run's machine, not from the bucket; empty without one."""
    with suppress(DataError):
        receipt = Receipt.read(home, run)
        if receipt and receipt.via == "cluster":
            return (
                f"; the copy in {receipt.path}, off {receipt.source}, is yours to keep, but the bucket has none to "
                "compare it with: let the machine go on until it is there"
            )
    return ""


def _destroy(run: str, store: Store, machines: Machines, why: dict[str, object]) -> tuple[str, ...]:
    names = tuple(machines.of_run(run))
    if not names:
        return ()
    # With a newer epoch taken, what still runs on the machines can publish nothing any more.
    ledger = Ledger(store, run, Lease.take(store, run).epoch)
    ledger.append("teardown", machines=names, **why)
    destroy_each(names, machines, lambda name: ledger.append("destroyed", machine=name))
    return names


def _destroy_unrecorded(run: str, machines: Machines) -> tuple[str, ...]:
    names = tuple(machines.of_run(run))
    destroy_each(names, machines)
    return names


def destroy_each(names: Sequence[str], machines: Machines, tell: Callable[[str], None] = lambda name: None) -> None:
    """Destroy all, and `tell` of each; a failure with one does not keep the others from being destroyed.

    Raises:
        CortexError: the first failure to destroy one, once all were tried.
    """
    failures = list[CortexError]()
    for name in names:
        try:
            machines.destroy(name)
        except CortexError as error:
            failures.append(error)
            continue
        try:
            tell(name)
        except StoreError as error:
            logger.warning(f"{name} is destroyed, without an entry in its ledger: {error}")
    for failure in failures[1:]:
        logger.warning(str(failure))
    if failures:
        raise failures[0]
