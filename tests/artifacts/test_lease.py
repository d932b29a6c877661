import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import StoredObject
from cortex.errors import RefusedError


def test_a_later_taker_ends_every_earlier_one(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    first = Lease.take(store, "r")
    first.check()
    second = Lease.take(store, "r")
    Lease.take(store, "other")
    assert (first.epoch, second.epoch) == (1, 2)
    second.check()
    with pytest.raises(RefusedError, match="taken over") as caught:
        first.check()
    assert caught.value.exit_code == 77
    assert [entry.key for entry in store.list("runs/r/lease")] == ["runs/r/lease/00000001", "runs/r/lease/00000002"]


def test_takers_at_once_get_different_epochs(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with ThreadPoolExecutor(6) as pool:
        leases = list(pool.map(lambda _: Lease.take(store, "r"), range(6)))
    assert sorted(lease.epoch for lease in leases) == [1, 2, 3, 4, 5, 6]


class StaleListing(FolderStore):
    """A store whose listing lags behind: it never shows anything."""

    def list(self, prefix: str = "") -> list[StoredObject]:
        return []


def test_a_stale_listing_costs_tries_not_safety(tmp_path: Path) -> None:
    first = Lease.take(FolderStore(tmp_path), "r")
    second = Lease.take(StaleListing(tmp_path), "r")
    assert second.epoch == 2
    with pytest.raises(RefusedError):
        first.check()


class Overwriting(FolderStore):
    """A server that does not know conditional writes, as several S3-compatible ones do not."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.put(key, data)
        return True


def test_without_conditional_writes_the_overwritten_holder_still_finds_out(tmp_path: Path) -> None:
    store = Overwriting(tmp_path)
    first = Lease.take(store, "r")
    first.check()
    second = Lease.take(StaleOverwriting(tmp_path), "r")
    assert first.epoch == second.epoch
    second.check()
    with pytest.raises(RefusedError, match="taken over"):
        first.check()


class StaleOverwriting(StaleListing, Overwriting):
    """The worst of both."""


def test_a_deleted_lease_is_a_lost_one(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    lease = Lease.take(store, "r")
    store.delete("runs/r")
    with pytest.raises(RefusedError, match="deleted"):
        lease.check()


def test_a_watched_lease_tells_within_its_interval(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with Lease.take(store, "r").watched(every=0.01) as require:
        require()
        Lease.take(store, "r")
        deadline = time.monotonic() + 5
        with pytest.raises(RefusedError, match="taken over"):
            while time.monotonic() < deadline:
                require()
                time.sleep(0.005)
