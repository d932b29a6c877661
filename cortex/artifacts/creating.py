"""Objects that are written once and never replaced: leases, manifests, profiles, entries of a ledger."""

from collections.abc import Callable

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import MissingObjectError, Store, StoreError

SETTLING = Patience(deadline=60.0, longest=5.0)
"""How long a key may be refused while nothing is under it: S3 does so (409) while another write of it is under way,
which may still fail."""

PROBE_KEY, PROBE = "runs/.conditional-writes", b"Written once, to learn whether this bucket keeps what is there.\n"
"""Below `runs/`, where a launcher's rights reach, and under no run's id."""


class _UnsettledError(StoreError):
    """The store refused to create an object, and has none."""


def create(store: Store, key: str, data: bytes, check: Callable[[], None] = lambda: None) -> bool:
    """Write an object that is never replaced. True when it is there with these bytes, False when it has others.

    An answer that was lost, and a refusal while nothing is there, are settled by reading the object back. `check` is
    called before each attempt, and raises when this process must not write any more.

    Raises:
        StoreError: the store does not answer, or refuses for too long what it does not have.
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

    return SETTLING.persist(attempt, _UnsettledError, lambda error, count: True, _tell)


def keeps_what_is_there(store: Store) -> bool:
    """Whether the store knows conditional writes (`If-None-Match`), without which two writers can replace each
    other's objects unseen. One request, and one more the first time that a bucket is asked."""
    if store.local_path(PROBE_KEY) is not None:
        return True  # the file system's link fails where a file is
    return not store.put_if_absent(PROBE_KEY, PROBE) or not store.put_if_absent(PROBE_KEY, PROBE)


def _tell(error: Exception, wait: float) -> None:
    logger.debug(f"{error} (again in {wait:.1f} s)")
