import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cortex.artifacts.folder_store import INCOMING, FolderStore
from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import MissingObjectError, Store, StoreError
from cortex.errors import ConfigError, VerificationError


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


def test_urls(tmp_path: Path) -> None:
    assert open_store(str(tmp_path)).url == str(tmp_path)
    assert open_store(f"file://{tmp_path}/a%20b").url == str(tmp_path / "a b")
    for url in ("http://x/y", "s3://", "file://host/x", "ftp://x"):
        with pytest.raises(ConfigError, match=url.split(":")[0]):
            open_store(url)


def test_what_is_put_is_got(store: Store) -> None:
    store.put("a/b", b"one")
    store.put("a/b", b"two")
    assert store.get("a/b") == b"two" and store.exists("a/b") and not store.exists("a")
    assert store.get_range("a/b", 1, 1) == b"w" and store.get_range("a/b", 1, 99) == b"wo"


def test_missing_objects_are_told_apart(store: Store, tmp_path: Path) -> None:
    store.put("a/b", b"")
    for key in ("x", "a", "a/b/c"):
        with pytest.raises(MissingObjectError, match=key):
            store.get(key)
        with pytest.raises(MissingObjectError, match=key):
            store.download(key, tmp_path / "out")
        assert not store.exists(key)
    assert list(tmp_path.glob("*out*")) == []


def test_lists_a_folder_to_the_bottom_in_order(store: FolderStore) -> None:
    for key in ("runs/a/2", "runs/a/1/x", "runs/ab", "z"):
        store.put(key, key.encode())
    assert [entry.key for entry in store.list("runs/a")] == ["runs/a/1/x", "runs/a/2"]
    assert [entry.key for entry in store.list("runs/a/")] == ["runs/a/1/x", "runs/a/2"]
    assert [(entry.key, entry.size) for entry in store.list()][-1] == ("z", 1)
    assert all(abs(time.time() - entry.modified) < 60 for entry in store.list())
    assert store.list("nothing") == [] and store.local_path("") == store.root


def test_deletes_a_key_or_a_folder(store: Store) -> None:
    for key in ("a/1", "a/2", "ab", "b"):
        store.put(key, b"")
    assert store.delete("a") == 2 and store.delete("b") == 1 and store.delete("b") == 0
    assert [entry.key for entry in store.list()] == ["ab"]


def test_files_go_in_and_out(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 100_000)
    store.upload(tmp_path / "in", "deep/er")
    store.download("deep/er", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"x" * 100_000


@pytest.mark.parametrize("key", ["../out", "/etc/x", "a/../../x", "a//b"])
def test_keys_stay_inside(store: Store, key: str) -> None:
    for call in (store.get, store.exists, store.list, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(VerificationError):
            call(key)


def test_exactly_one_of_many_creates(store: Store) -> None:
    gate = threading.Barrier(8)

    def attempt(writer: int) -> bool:
        gate.wait()
        return store.put_if_absent("one", bytes([writer]) * 1000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1
    assert store.get("one") == bytes([won.index(True)]) * 1000


def test_readers_never_see_half_a_write(store: Store) -> None:
    store.put("k", b"a" * 500_000)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(store.get("k"))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in (b"b", b"c", b"d") * 4:
        store.put("k", letter * 500_000)
    stop.set()
    reader.join()
    assert all(len(data) == 500_000 and len(set(data)) == 1 for data in seen)


def test_leavings_are_swept_but_not_under_a_writer(store: FolderStore) -> None:
    store.put("k", b"")
    aside = store.root / INCOMING
    (aside / "dead").write_bytes(b"half")
    (aside / "dead-folder" / "x").mkdir(parents=True)
    with store._incoming() as busy:  # pyright: ignore[reportPrivateUsage]
        busy.write_bytes(b"live")
        store.sweep()
        assert busy.exists()
    store.sweep()
    assert [path.name for path in aside.iterdir()] == ["lock"]
    assert [entry.key for entry in store.list()] == ["k"]


def test_an_unwritable_store_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        FolderStore(tmp_path / "file").put("k", b"")


def test_buckets_are_asked_with_the_patience_given(client_environment: dict[str, str]) -> None:
    store = open_store("s3://bucket/kit", Patience(deadline=math.inf))
    assert isinstance(store, RemoteStore) and store.patience.deadline == math.inf and client_environment
