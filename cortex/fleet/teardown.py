"""Letting go of a run's machines: only once a verified copy of its release is proven to be on this disk."""

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
from cortex.fleet.download import release_of
from cortex.runs.ledger import Ledger


class Machines(Protocol):
    """What a run occupies and pays for, wherever that is."""

    def of_run(self, run: str) -> Sequence[str]:
        """What is there now: jobs, clusters, services."""
        ...

    def destroy(self, name: str) -> None:
        """Give one back. Destroying what is gone already is no error."""
        ...


def teardown(run: str, store: Store, home: Path, machines: Machines, trust: Trust | None = None) -> tuple[str, ...]:
    """Destroy a run's machines, and return their names; the bucket and the copy stay. Doing it again finds nothing.

    Raises:
        RefusedError: no verified copy is proven to be here, with the command that brings one; or `trust` asks for a
            signature that the copy does not have.
    """
    receipt = require_copy(run, store, home)
    if trust:
        trust.require(run, trust.signer(release_of(store, run), read_signature(receipt.path)))
    return _destroy(run, store, machines, {"manifest": receipt.manifest, "copy": str(receipt.path)})


def abandon(run: str, typed: str, store: Store, machines: Machines) -> tuple[str, ...]:
    """Destroy a run's machines with nothing brought home, for one who has typed the run's id out.

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
    """Prove that the release in the bucket lies, whole and right, on this disk.

    By which way it came does not matter: a copy off its machine (`download --from-cluster`) counts once the bucket has
    a release of the same digest. While the bucket has none, such a copy is compared with nothing but the machine's own
    word, on one disk, where no later stage or server looks; and the machine is still bringing it to the bucket. To end
    that work is to abandon it: the copy stays, and who decides so types the run's id.

    Raises:
        RefusedError: it does not, or nothing can be proven: no release, no bucket, no receipt, a damaged copy.
    """
    fix = f"bring it home first: cortex download {run}"
    try:
        published = release_of(store, run)
    except DataError as error:
        raise RefusedError(
            f"refusing to tear down {run}: {error}{_off_the_machine(home, run)}; or let it go for good: "
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


def _off_the_machine(home: Path, run: str) -> str:
    """What to say of a copy that came off the run's machine, past the bucket."""
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
    # The newest epoch is ours from here on: what still runs there cannot publish any more.
    ledger = Ledger(store, run, Lease.take(store, run).epoch)
    ledger.append("teardown", machines=names, **why)
    destroy_each(names, machines, lambda name: ledger.append("destroyed", machine=name))
    return names


def _destroy_unrecorded(run: str, machines: Machines) -> tuple[str, ...]:
    names = tuple(machines.of_run(run))
    destroy_each(names, machines)
    return names


def destroy_each(names: Sequence[str], machines: Machines, tell: Callable[[str], None] = lambda name: None) -> None:
    """Destroy them all, and `tell` of each: one that cannot be destroyed, or told of, must not keep the others.

    Raises:
        CortexError: the first that could not be destroyed, once all were tried.
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
