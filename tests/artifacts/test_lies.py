"""The cost of finding a manifest that lies about a size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.artifacts.artifact import fetch, find, read_verified
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import PIECE, Store, StoreError
from cortex.artifacts.streaming import hash_object
from cortex.errors import VerificationError
from cortex.limits import MANIFEST_BYTES, MANIFEST_FILES, TooLargeError
from cortex.settings import CHECKOUT
from tests.artifacts.faulty import BUCKET, Proxy, Server

pytestmark = pytest.mark.integration

MIB = 2**20

PROGRAM = """
import json, re, sys
from pathlib import Path
from loguru import logger
from cortex.artifacts.receiving import receive
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.remote_store import RemoteStore
from cortex.errors import VerificationError

class Counting(RemoteStore):
    given = 0
    def get(self, key, *limit):
        data = super().get(key, *limit)
        Counting.given += len(data)
        return data
    def get_range(self, key, start, length):
        data = super().get_range(key, start, length)
        Counting.given += len(data)
        return data
    def stream(self, key, start, length):
        for piece in super().stream(key, start, length):
            Counting.given += len(piece)
            yield piece

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

logger.remove()
store, here = Counting(sys.argv[1]), Path(sys.argv[3])
honest = Manifest(kind="release", files=(FileEntry(name="small", size=5, sha256=sys.argv[4]),))
receive(store, "a", honest, here / "honest")
before = peak()
lie = Manifest(kind="release", files=(FileEntry(name="large", size=int(sys.argv[2]), sha256="0" * 64),))
try:
    receive(store, "a", lie, here / "lie")
except VerificationError as error:
    print(json.dumps([peak() - before, Counting.given - 5, str(error)]))
"""


@pytest.mark.parametrize(
    ("there", "stated"),
    [
        *((200 * MIB, stated) for stated in (10, 2 * MIB, 9 * MIB, 70 * MIB)),
        *((100 * MIB, stated) for stated in (100 * MIB - 1, 100 * MIB + 1, 200 * MIB, 2000 * MIB)),
        *((100, stated) for stated in (99, 101, 5 * MIB, 2000 * MIB)),
    ],
)
def test_a_lie_of_any_factor_costs_64_mib_and_one_reading(
    server: Server, client_environment: dict[str, str], tmp_path: Path, there: int, stated: int
) -> None:
    folder = server.root / BUCKET / "a"
    folder.mkdir(parents=True)
    (folder / "small").write_bytes(b"small")
    with (folder / "large").open("wb") as file:
        file.truncate(there)
    small = hash_object(FolderStore(folder), "small", 5).sha256
    command = [sys.executable, "-c", PROGRAM, f"s3://{BUCKET}", str(stated), str(tmp_path), small]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr
    memory, given, message = json.loads(done.stdout)
    assert "is damaged: it has" in message and "of its manifest" in message
    assert memory < 64 * MIB, f"{memory / MIB:.0f} MiB"
    assert given <= min(stated, there) + 1
    assert client_environment and not (tmp_path / "lie").exists()


@pytest.mark.parametrize("stated", [1, 700, 2000, 5 * MIB])
def test_each_lie_is_one_reading_through_a_server_that_knows_ranges(
    remote: RemoteStore, proxy: Proxy, tmp_path: Path, stated: int
) -> None:
    remote.put("a/x", bytes(1400))
    lie = Manifest(kind="model", files=(FileEntry(name="x", size=stated, sha256="0" * 64),))
    with pytest.raises(VerificationError, match=r"is damaged: it has .* of its manifest"):
        receive(remote, "a", lie, tmp_path / "home")
    assert proxy.sent <= 1400


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_reading_back_tells_a_longer_and_a_shorter_object(tmp_path: Path, size: int, more: int) -> None:
    store = FolderStore(tmp_path)
    store.put("x", bytes(size))
    if size + more >= 0:
        assert (hash_object(store, "x", size + more).size == size + more) is (more == 0)


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "b") if request.param == "folder" else request.getfixturevalue("remote")


def test_an_object_beyond_its_cap_is_not_read(any_store: Store) -> None:
    any_store.put("x", bytes(101))
    assert any_store.get("x", 101) == bytes(101)
    with pytest.raises(TooLargeError, match=r"x has .*100"):
        any_store.get("x", 100)


def test_a_manifest_beyond_its_cap_is_not_read(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(f"a/{MANIFEST}", b" " * (MANIFEST_BYTES + 1))
    with pytest.raises(TooLargeError, match="8,388,608"):
        find(store, "a")
    with pytest.raises(TooLargeError, match="8,388,608"):
        Manifest.read(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind":"x","files":[' + '{"name":"a","size":1,"sha256":"' + "0" * 64 + '"},' * 1 + "]}", "not a manifest"),
        ('{"kind":"x","files":[],"meta":{"a":' + "[" * 100 + "]" * 100 + "}}", "levels deep"),
        ('{"kind":"x","files":[],"meta":{"a":NaN}}', "NaN"),
        ('{"kind":"x","files":[{"name":"a","size":1e9999}]}', "not a manifest"),
        ('{"kind":"x","files":[{"name":"a","size":' + "9" * 4000 + ',"sha256":"' + "0" * 64 + '"}]}', "less than"),
        (json.dumps({"kind": "x" * 101, "files": []}), "kind"),
        (json.dumps({"kind": "x", "files": [0] * (MANIFEST_FILES + 1)}), "files"),
    ],
)
def test_a_manifest_of_absurd_depth_numbers_and_counts_is_one_line(text: str, said: str) -> None:
    with pytest.raises(VerificationError, match=said) as caught:
        Manifest.parse(text.encode(), "m")
    assert len(str(caught.value)) < 5000


def test_one_file_is_read_only_as_its_manifest_states_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("a/x", b"text")
    right = hash_object(store, "a/x", 4).sha256

    def read(name: str, size: int, sha256: str) -> bytes:
        entry = FileEntry(name=name, size=size, sha256=sha256)
        return read_verified(store, "a", Manifest(kind="x", files=(entry,)), "x", 1000)

    assert read("x", 4, right) == b"text"
    for name, size, sha256 in (("x", 4, "0" * 64), ("y", 4, right), ("x", 3, right), ("x", 1001, right)):
        with pytest.raises(VerificationError):
            read(name, size, sha256)


def test_a_store_of_links_and_pipes_has_no_objects(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "b")
    store.put("a/x", b"1")
    (store.root / "a" / "link").symlink_to("/etc/hostname")
    (store.root / "a" / "up").symlink_to("..")
    (store.root / "a" / MANIFEST).symlink_to("/dev/zero")
    assert [entry.key for entry in store.list()] == ["a/x"]
    with pytest.raises(StoreError, match=r"manifest.json cannot be read"):
        fetch(store, "a", tmp_path)
