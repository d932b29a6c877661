"""Creation of objects that are written once and never replaced: leases, manifests, profiles, ledger entries."""

from collections.abc import Callable

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import MissingObjectError, Store, StoreError

SETTLING = Patience(deadline=60.0, longest=5.0)
"""Retries for a key whose creation is refused although there is no object: S3 answers so (409) while another write of
it is under way, which may still fail."""

PROBE_KEY, PROBE = "runs/.conditional-writes", b"Written once, to learn whether this bucket keeps what is there.\n"
"""An object that tests for conditional writes. It lies below `runs/`, where a launcher's rights reach, and under no
run's id."""


class _UnsettledError(StoreError):
    """The store refused to create an object, although it has none under that key."""


def create(store: Store, key: str, data: bytes, check: Callable[[], None] = lambda: None) -> bool:
    """Create an object that is never replaced. True if it is there with these bytes, False if it has others.

    After a refusal the object is read back, since the refused write may be this one's retry after a lost answer.
    `check` is called before each attempt, and raises when this process may not write any more.

    Raises:
        StoreError: the store does not answer, or goes on refusing an object that it does not have.
    """

    def attempt() -> bool:
        check()
        if store.put_if_absent(key, data):
            return True
        try:
            return store.get(key) == data
        except MissingObjectError as error:
            raise _UnsettledError(
                f"{store.url}/{key} can neither be written nor read: try again in a minute"
            ) from error

    return SETTLING.persist(attempt, _UnsettledError, lambda error, count: True, _log_retry)


def supports_conditional_writes(store: Store) -> bool:
    """Tell if the store supports conditional writes (`If-None-Match`), without which two writers can replace each
    other's objects unseen. It takes one request, or two the first time for a bucket."""
    if store.local_path(PROBE_KEY) is not None:
        return True  # a folder store writes by a link, which fails where a file exists
    return not store.put_if_absent(PROBE_KEY, PROBE) or not store.put_if_absent(PROBE_KEY, PROBE)


def _log_retry(error: Exception, wait: float) -> None:
    logger.debug(f"{error} (again in {wait:.1f} s)")
