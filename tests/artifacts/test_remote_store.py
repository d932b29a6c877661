import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random

import pytest

from cortex.artifacts.artifact import fetch, find, publish
from cortex.artifacts.creating import supports_conditional_writes
from cortex.artifacts.lease import Lease
from cortex.artifacts.patience import Patience
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import PIECE, MissingObjectError, StoreError
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError
from cortex.limits import RECORD_BYTES
from tests.artifacts.faulty import BUCKET, Fault, Plan, Proxy, Request, Server
from tests.artifacts.strategies import write

pytestmark = pytest.mark.integration

BIG = Random(7).randbytes(2 * PIECE + 12_345)
FILES = {"big.bin": BIG, "dir/small.json": b"{}" * 700, "empty": b"", "é ü.txt": b"text"}


def some(*faults: Fault, method: str = "", key: str = "") -> Plan:
    """These faults, one after the other, for the first requests of a method whose key ends so."""
    left = deque(faults)

    def plan(request: Request) -> Fault | None:
        if request.method.startswith(method) and request.key.endswith(key):
            with suppress(IndexError):
                return left.popleft()
        return None

    return plan


def test_speaks_to_a_real_server(remote: RemoteStore, tmp_path: Path) -> None:
    remote.put("runs/a/x", b"one")
    remote.put("runs/ab", b"")
    assert remote.get("runs/a/x") == b"one" and remote.get("runs/ab") == b""
    assert remote.get_range("runs/a/x", 1, 2) == b"ne" and remote.size("runs/a/x") == 3
    (listed,) = remote.list("runs/a")
    assert (listed.key, listed.size) == ("runs/a/x", 3) and abs(time.time() - listed.modified) < 60
    assert remote.exists("runs/ab") and not remote.exists("runs")
    assert remote.put_if_absent("one", b"1") and not remote.put_if_absent("one", b"2") and remote.get("one") == b"1"
    (tmp_path / "big").write_bytes(BIG)
    sent = remote.upload(tmp_path / "big", "big")
    remote.download("big", tmp_path / "back")
    assert sent.size == len(BIG) and (tmp_path / "back").read_bytes() == BIG
    assert remote.delete("runs") == 2 and remote.list("runs") == []
    with pytest.raises(MissingObjectError, match="runs/ab"):
        remote.get("runs/ab")
    with pytest.raises(MissingObjectError, match="nothing"):
        remote.download("nothing", tmp_path / "nothing")


def test_publishes_and_fetches_the_same(remote: RemoteStore, tmp_path: Path) -> None:
    made = publish(write(tmp_path / "made", FILES), remote, "runs/r/model", kind="release")
    got = fetch(remote, "runs/r/model", tmp_path / "cache")
    assert got.digest == made.digest and verify(got.path).ok
    assert {name: (got.path / name).read_bytes() for name in FILES} == FILES
    assert (got.path / "SHA256SUMS").read_text().count("\n") == len(FILES)


def test_ranges_that_come_as_200_are_taken(direct: RemoteStore) -> None:
    direct.put("x", b"0123456789")
    assert direct.get_range("x", 3, 4) == b"3456"
    with pytest.raises(MissingObjectError):
        direct.get_range("y", 3, 4)


ANSWERS = {
    "statuses": [Fault("status", status=status, code=f"Code{status}") for status in (500, 503, 429, 502, 408)],
    "resets": [Fault("reset", at=at) for at in (0, 1, 1_000_003, 7_000_000, 77)],
    "truncations": [Fault("truncate", at=at) for at in (0, 1, 77, 4_000_000, 8_000_000)],
    "lost answers": [Fault("lose answer")] * 4,
}


@pytest.mark.parametrize("faults", ANSWERS.values(), ids=ANSWERS)
def test_a_failing_server_costs_retries_only(
    remote: RemoteStore, proxy: Proxy, tmp_path: Path, faults: list[Fault]
) -> None:
    folder = write(tmp_path / "made", FILES)
    proxy.plan = some(*faults, method="P")
    made = publish(folder, remote, "a", kind="model")
    proxy.plan = some(*faults, method="GET")
    got = fetch(remote, "a", tmp_path / "cache")
    assert got.digest == made.digest and verify(got.path).ok
    assert len(proxy.faults) == 2 * len(faults)


def test_an_upload_that_is_cut_is_sent_again(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    proxy.plan = some(*(Fault("cut upload", at=at) for at in (0, 1, 5_000, PIECE - 1, 300)), method="P")
    publish(write(tmp_path / "made", FILES), remote, "a", kind="model")
    assert verify(fetch(remote, "a", tmp_path / "cache").path).ok
    assert len(proxy.faults) == 5


def test_an_upload_in_parts_whose_last_answer_is_lost_is_sent_again(
    remote: RemoteStore, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.artifacts.remote_store.SINGLE", PIECE)
    left = deque([Fault("lose answer")])
    proxy.plan = lambda request: (
        left.pop() if left and request.method == "POST" and "uploadId" in request.query else None
    )
    publish(write(tmp_path / "made", FILES), remote, "a", kind="model")
    assert proxy.faults and verify(fetch(remote, "a", tmp_path / "cache").path).ok


@pytest.mark.parametrize("kind", ["corrupt", "zero"])
def test_wrong_bytes_of_the_right_length_are_read_again(
    remote: RemoteStore, proxy: Proxy, tmp_path: Path, kind: str
) -> None:
    publish(write(tmp_path / "made", FILES), remote, "a", kind="model")
    fault = Fault("corrupt" if kind == "corrupt" else "zero", at=3)
    reads = count()
    proxy.plan = lambda request: fault if "big" in request.key and next(reads) % 11 == 0 else None
    got = fetch(remote, "a", tmp_path / "cache")
    assert verify(got.path).ok and proxy.faults


def test_bytes_damaged_on_the_way_up_are_never_published(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    folder = write(tmp_path / "made", FILES)
    proxy.plan = some(*[Fault("corrupt upload", at=9)] * 2, method="PUT", key=".bin")
    publish(folder, remote, "a", kind="model")
    assert proxy.faults and verify(fetch(remote, "a", tmp_path / "cache").path).ok
    proxy.plan = lambda request: Fault("corrupt upload") if request.key.endswith("small.json") else None
    with pytest.raises(DataError):
        publish(folder, remote, "b", kind="model")
    assert find(remote, "b") is None


def test_an_object_overwritten_later_is_never_called_verified(
    remote: RemoteStore, tmp_path: Path, server: Server
) -> None:
    publish(write(tmp_path / "made", FILES), remote, "a", kind="model")
    (server.root / BUCKET / "kit/a/big.bin").write_bytes(BIG[:-1] + b"?")
    with pytest.raises(VerificationError, match=r"a/big\.bin is damaged"):
        fetch(remote, "a", tmp_path / "cache")
    assert not any(path.is_dir() and not path.name.endswith(".part") for path in (tmp_path / "cache").iterdir())
    (server.root / BUCKET / "kit/a/big.bin").write_bytes(BIG)
    assert verify(fetch(remote, "a", tmp_path / "cache").path).ok


def test_what_is_there_and_right_is_not_sent_again(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    folder = write(tmp_path / "made", FILES)
    proxy.plan = some(*[Fault("status", status=403, code="AccessDenied")] * 9, method="PUT", key="manifest.json")
    with pytest.raises(StoreError):
        publish(folder, remote, "a", kind="model")
    remote.put("a/dir/small.json", b"[]" * 700)
    proxy.plan = lambda _: None
    before = len(proxy.seen)
    publish(folder, remote, "a", kind="model")
    written = [request.key for request in proxy.seen[before:] if request.method in ("PUT", "POST")]
    assert written == ["kit/a/dir/small.json", "kit/a/manifest.json"]


def test_a_stale_listing_costs_bytes_not_safety(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    proxy.plan = lambda request: Fault("status", status=200) if "list-type" in request.query else None
    made = publish(write(tmp_path / "made", FILES), remote, "a", kind="model")
    assert fetch(remote, "a", tmp_path / "cache").digest == made.digest


def test_credentials_may_be_renewed_meanwhile(remote: RemoteStore, proxy: Proxy) -> None:
    remote.put("x", b"1")
    proxy.plan = some(*[Fault("status", status=400, code="ExpiredToken")] * 2)
    assert remote.get("x") == b"1" and remote.retries == 2
    proxy.plan = some(*[Fault("status", status=400, code="ExpiredToken")] * 9)
    with pytest.raises(StoreError, match="renew them"):
        remote.get("x")


def test_a_wrong_clock_is_said_at_once(remote: RemoteStore, proxy: Proxy) -> None:
    proxy.plan = lambda _: Fault("status", status=403, code="RequestTimeTooSkewed")
    with pytest.raises(StoreError, match="clock is wrong"):
        remote.get("x")
    assert remote.retries == 0


def test_patience_ends_and_the_error_is_one_line(proxy: Proxy) -> None:
    store = RemoteStore(f"s3://{BUCKET}", Patience(deadline=1, first=0.01))
    proxy.plan = lambda _: Fault("status", status=503)
    with pytest.raises(StoreError, match=r"s3://bucket/x cannot be read.*503.*SlowDown") as caught:
        store.get("x")
    assert "\n" not in str(caught.value) and store.retries > 0


def test_no_server_and_no_bucket_are_clear(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        RemoteStore("s3://nobucket", Patience(deadline=0.2)).put("x", b"")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match="cannot be read"):
        RemoteStore("s3://bucket", Patience(deadline=0.2)).get("x")
    with pytest.raises(ConfigError, match="no bucket"):
        RemoteStore("s3://")
    del proxy


def test_the_server_may_be_killed_and_come_back(remote: RemoteStore, server: Server, tmp_path: Path) -> None:
    import threading

    folder = write(tmp_path / "made", FILES)
    server.kill()
    back = threading.Timer(0.7, server.start)
    back.start()
    publish(folder, remote, "a", kind="model")
    back.join()
    assert remote.retries > 0 and verify(fetch(remote, "a", tmp_path / "cache").path).ok


def test_a_lease_is_safe_when_answers_are_lost(remote: RemoteStore, proxy: Proxy) -> None:
    proxy.plan = some(Fault("lose answer"), method="PUT")
    first = Lease.take(remote, "r")
    second = Lease.take(remote, "r")
    assert (first.epoch, second.epoch) == (1, 2)
    with pytest.raises(RefusedError, match="taken over"):
        first.check()


def test_a_server_without_conditional_writes_still_ends_the_earlier_holder(direct: RemoteStore) -> None:
    first = Lease.take(direct, "r")
    first.check()
    Lease.take(direct, "r")
    with pytest.raises(RefusedError, match="taken over"):
        first.check()


def test_a_conflict_on_the_way_to_an_epoch_leaves_no_gap(remote: RemoteStore, proxy: Proxy) -> None:
    first = Lease.take(remote, "r")
    conflict = Fault("status", status=409, code="ConditionalRequestConflict")
    left = [conflict] * 3

    def refuse(request: Request) -> Fault | None:
        return left.pop() if left and request.method == "PUT" and request.key.endswith("lease/00000002") else None

    proxy.plan = refuse
    assert Lease.take(remote, "r").epoch == 2
    assert not left
    with pytest.raises(RefusedError, match="taken over"):
        first.check()


def test_a_bucket_that_ignores_conditional_writes_is_found_out(direct: RemoteStore) -> None:
    assert not supports_conditional_writes(direct)
    assert not supports_conditional_writes(direct)


def test_a_bucket_is_asked_once_whether_it_keeps_what_is_there(remote: RemoteStore, proxy: Proxy) -> None:
    asked = len(proxy.seen)
    assert supports_conditional_writes(remote)
    assert len(proxy.seen) - asked == 2, "a probe object is written once"
    assert supports_conditional_writes(remote)
    assert len(proxy.seen) - asked == 3


def test_another_artifact_that_came_meanwhile_is_not_replaced(direct: RemoteStore, tmp_path: Path) -> None:
    mine, others = write(tmp_path / "mine", {"a": b"mine"}), write(tmp_path / "others", {"a": b"others"})
    late = Late(direct.url, lambda: publish(others, direct, "runs/r/a", kind="model"))
    with pytest.raises(RefusedError, match="already holds another artifact"):
        publish(mine, late, "runs/r/a", kind="model")
    there = fetch(direct, "runs/r/a", tmp_path / "cache")
    assert (there.path / "a").read_bytes() == b"others"


class Late(RemoteStore):
    """A store in which somebody else publishes right after the first look at what is there."""

    def __init__(self, url: str, others: Callable[[], object]) -> None:
        super().__init__(url, Patience(deadline=8, first=0.01, longest=0.1))
        self._others = iter([others])

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        try:
            return super().get(key, limit)
        finally:
            for publish_others in self._others:
                publish_others()


def test_a_stolen_lease_stops_an_upload_under_way(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    lease = Lease.take(remote, "r")

    def steal(request: Request) -> Fault | None:
        if request.key.endswith("big.bin") and request.method == "GET":
            proxy.plan = lambda _: None
            Lease.take(remote, "r")
        return None

    proxy.plan = steal
    with pytest.raises(RefusedError, match="taken over by"):
        publish(write(tmp_path / "made", FILES), remote, "runs/r/a", kind="model", lease=lease)
    assert find(remote, "runs/r/a") is None
