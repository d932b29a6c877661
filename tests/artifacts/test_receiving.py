import os
import resource
import shutil
from pathlib import Path
from random import Random

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import PIECE
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, RefusedError, VerificationError
from cortex.limits import RECORD_BYTES
from tests.artifacts.strategies import write

BIG = Random(7).randbytes(2 * PIECE + 12_345)
FILES = {"big.bin": BIG, "dir/small": b"{}" * 700, "empty": b""}


class Counting(FolderStore):
    """A folder store that counts the bytes it gives."""

    given = 0

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        data = super().get(key, limit)
        self.given += len(data)
        return data

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        data = super().get_range(key, start, length)
        self.given += len(data)
        return data


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "bucket")


@pytest.fixture
def manifest(store: Counting, tmp_path: Path) -> Manifest:
    return publish(write(tmp_path / "made", FILES), store, "a", kind="model").manifest


def test_a_whole_copy_appears_and_every_byte_is_told(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    told: list[int] = []
    receive(store, "a", manifest, tmp_path / "deep/home", told.append)
    assert verify(tmp_path / "deep/home").ok and sum(told) == manifest.size
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["home"]


@pytest.mark.parametrize("kept", [0, 1, 4096, PIECE, 2 * PIECE + 1, len(BIG)])
def test_continues_at_any_byte(store: Counting, manifest: Manifest, tmp_path: Path, kept: int) -> None:
    write(tmp_path / "home.part", {"big.bin": BIG[:kept], "dir/small": FILES["dir/small"]})
    told: list[int] = []
    receive(store, "a", manifest, tmp_path / "home", told.append)
    assert verify(tmp_path / "home").ok and sum(told) == manifest.size
    assert store.given == len(BIG) - kept


@pytest.mark.parametrize(
    "left", [bytes(5000), b"?" + BIG[1:9000], BIG + b"?", BIG[:-1] + b"?"], ids=["zeroes", "head", "longer", "tail"]
)
def test_wrong_bytes_left_by_an_earlier_download_are_replaced(
    store: Counting, manifest: Manifest, tmp_path: Path, left: bytes
) -> None:
    write(tmp_path / "home.part", {"big.bin": left, "stranger": b"x", "dir/small/in-the-way": b""})
    told: list[int] = []
    receive(store, "a", manifest, tmp_path / "home", told.append)
    assert verify(tmp_path / "home").ok and sum(told) == manifest.size


def test_nothing_is_written_through_a_link(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/victim").write_bytes(b"mine")
    part = write(tmp_path / "home.part", {})
    (part / "big.bin").symlink_to(tmp_path / "outside/victim")
    (part / "dir").symlink_to(tmp_path / "outside")
    receive(store, "a", manifest, tmp_path / "home")
    assert verify(tmp_path / "home").ok
    assert [path.read_bytes() for path in (tmp_path / "outside").iterdir()] == [b"mine"]


def test_a_right_copy_is_not_fetched_again(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    receive(store, "a", manifest, tmp_path / "home")
    store.given = 0
    receive(store, "a", manifest, tmp_path / "home")
    assert store.given == 0


def test_a_damaged_copy_is_repaired_and_only_what_is_wrong_fetched(
    store: Counting, manifest: Manifest, tmp_path: Path
) -> None:
    receive(store, "a", manifest, tmp_path / "home")
    (tmp_path / "home/dir/small").write_bytes(b"[]" * 700)
    (tmp_path / "home/empty").unlink()
    (tmp_path / "home" / MANIFEST).write_bytes(b"")
    store.given = 0
    receive(store, "a", manifest, tmp_path / "home")
    assert verify(tmp_path / "home").ok and store.given == len(FILES["dir/small"])


def test_what_is_not_ours_is_not_touched(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    other = publish(write(tmp_path / "other", {"x": b"1"}), store, "b", kind="model").manifest
    receive(store, "b", other, tmp_path / "home")
    with pytest.raises(RefusedError, match="another artifact"):
        receive(store, "a", manifest, tmp_path / "home")
    write(tmp_path / "photos", {"me.jpg": b"1"})
    with pytest.raises(RefusedError, match="other files"):
        receive(store, "a", manifest, tmp_path / "photos")
    with pytest.raises(RefusedError, match="no folder"):
        receive(store, "a", manifest, tmp_path / "photos/me.jpg")
    receive(store, "a", manifest, tmp_path / "mine")
    (tmp_path / "mine/notes.txt").write_bytes(b"my notes")
    with pytest.raises(RefusedError, match=r"notes\.txt"):
        receive(store, "a", manifest, tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_bytes() == b"my notes" and (tmp_path / "photos/me.jpg").exists()


def test_a_second_download_into_one_folder_is_refused(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    refused: list[RefusedError] = []

    def advance(_: int) -> None:
        if not refused:
            with pytest.raises(RefusedError, match="another download") as caught:
                receive(store, "a", manifest, tmp_path / "home")
            refused.append(caught.value)

    receive(store, "a", manifest, tmp_path / "home", advance)
    assert refused and verify(tmp_path / "home").ok


def test_a_damaged_store_copy_is_named_and_what_was_right_is_kept(
    store: Counting, manifest: Manifest, tmp_path: Path
) -> None:
    (store.root / "a/dir/small").write_bytes(b"[]" * 700)
    with pytest.raises(VerificationError, match="dir/small is damaged"):
        receive(store, "a", manifest, tmp_path / "home")
    assert not (tmp_path / "home").exists() and (tmp_path / "home.part/big.bin").read_bytes() == BIG


def test_a_manifest_that_lies_about_an_empty_file(store: Counting, tmp_path: Path) -> None:
    store.put("a/x", b"")
    lie = Manifest(kind="model", files=(FileEntry(name="x", size=0, sha256="0" * 64),))
    with pytest.raises(VerificationError, match="x is damaged"):
        receive(store, "a", lie, tmp_path / "home")


def test_no_room_is_said_before_a_byte_is_fetched(store: Counting, tmp_path: Path) -> None:
    huge = Manifest(kind="model", files=(FileEntry(name="x", size=1 << 50, sha256="0" * 64),))
    with pytest.raises(ConfigError, match="GiB free"):
        receive(store, "a", huge, tmp_path / "home")
    assert store.given == 0


def test_a_disk_that_fills_up_keeps_what_is_there(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PIECE + 1000, limits[1]))
    try:
        with pytest.raises(ConfigError, match="cannot be written"):
            receive(store, "a", manifest, tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "home").exists()
    store.given = 0
    receive(store, "a", manifest, tmp_path / "home")
    assert verify(tmp_path / "home").ok and store.given < len(BIG)


def test_a_place_that_cannot_be_written_is_a_clear_error(store: Counting, manifest: Manifest) -> None:
    place = Path("/proc/nowhere/home") if os.access("/proc", os.R_OK) else Path("/dev/null/home")
    with pytest.raises(ConfigError, match="cannot be written"):
        receive(store, "a", manifest, place)


def test_an_empty_folder_is_a_fine_target(store: Counting, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    receive(store, "a", manifest, tmp_path / "home")
    assert verify(tmp_path / "home").ok
    shutil.rmtree(tmp_path / "home")
