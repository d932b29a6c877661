import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cortex.artifacts.creating import create
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import LAST_EPOCH, Lease
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
    with Lease.take(store, "r").watch(every=0.01) as require:
        require()
        Lease.take(store, "r")
        deadline = time.monotonic() + 5
        with pytest.raises(RefusedError, match="taken over"):
            while time.monotonic() < deadline:
                require()
                time.sleep(0.005)


class Conflicting(FolderStore):
    """A store that refuses the first creation of each key although nothing is there, as S3 does (409) while another
    write of that key is under way, which may then fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refused = set[str]()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key not in self.refused:
            self.refused.add(key)
            return False
        return super().put_if_absent(key, data)


def test_an_epoch_that_is_refused_while_it_is_free_is_not_skipped(tmp_path: Path) -> None:
    store = Conflicting(tmp_path)
    first, second = Lease.take(store, "r"), Lease.take(store, "r")
    assert (first.epoch, second.epoch) == (1, 2)
    second.check()
    with pytest.raises(RefusedError, match="taken over"):
        first.check()


class TakenMeanwhile(FolderStore):
    """A store that refuses a manifest once although nothing is there, while somebody else takes the run."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key.endswith("manifest.json") and not self.exists("runs/r/lease/00000002"):
            Lease.take(self, "r")
            return False
        return super().put_if_absent(key, data)


def test_a_manifest_that_was_refused_is_put_again_by_a_holder_alone(tmp_path: Path) -> None:
    store = TakenMeanwhile(tmp_path)
    lease = Lease.take(store, "r")
    with pytest.raises(RefusedError, match="taken over"):
        create(store, "runs/r/a/manifest.json", b"{}", lease.check)
    assert not store.exists("runs/r/a/manifest.json")


def test_any_higher_epoch_ends_a_holder_not_only_the_next(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    lease = Lease.take(store, "r")
    store.put("runs/r/lease/00000007", b"{}")
    with pytest.raises(RefusedError, match=r"an entry that is none \(epoch 7\)"):
        lease.check()
    assert Lease.take(store, "r").epoch == 8


@pytest.mark.parametrize(
    "name", ["junk", "-0000002", "0000002", "000000002", "9" * 200, "00000002/x", "\u0662" * 8, "00000002.tmp"]
)
def test_a_name_that_is_no_epoch_is_nobodys(name: str, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(f"runs/r/lease/{name}", b"{}")
    first = Lease.take(store, "r")
    first.check()
    assert first.epoch == 1


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"null", b"[" * 100_000, b'{"host": {}, "pid": "x"}'])
def test_an_entry_that_cannot_be_read_is_somebodys(data: bytes, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    lease = Lease.take(store, "r")
    store.put("runs/r/lease/00000002", data)
    with pytest.raises(RefusedError, match="an entry that is none"):
        lease.check()
    with lease.watch(every=0.01) as require, pytest.raises(RefusedError):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            require()
            time.sleep(0.005)
    store.put("runs/r/lease/00000001", data)
    store.delete("runs/r/lease/00000002")
    with pytest.raises(RefusedError, match="an entry that is none"):
        lease.check()


def test_who_took_it_over_is_named_harmlessly(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    lease = Lease.take(store, "r")
    store.put("runs/r/lease/00000002", json.dumps({"host": "evil\x1b]0;owned\x07\n", "pid": 7}).encode())
    with pytest.raises(RefusedError, match=r"by evil.* \(process 7\)") as caught:
        lease.check()
    assert str(caught.value).isprintable()


def test_after_the_last_epoch_there_is_none(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(f"runs/r/lease/{LAST_EPOCH}", b"{}")
    with pytest.raises(RefusedError, match=f"holds epoch {LAST_EPOCH}, the last: start a new run"):
        Lease.take(store, "r")


def test_a_check_is_made_anew_once_it_is_old(tmp_path: Path) -> None:
    store, now = FolderStore(tmp_path), 100.0
    check = Lease.take(store, "r").throttled_check(every=2.0, clock=lambda: now)
    check()
    Lease.take(store, "r")
    now += 1.9
    check()
    now += 0.1
    with pytest.raises(RefusedError, match="taken over"):
        check()
