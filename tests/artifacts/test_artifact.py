import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from cortex.artifacts.artifact import fetch, find, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.store import MissingObjectError
from cortex.artifacts.verify import verify
from cortex.errors import DataError, RefusedError, VerificationError
from tests.artifacts.strategies import contents, write

FILES = {"weights.bin": b"w" * 1000, "tokenizer/vocab.json": b"{}", "empty": b""}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


@settings(deadline=None, max_examples=25)
@given(contents)
def test_what_is_published_is_fetched(files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as root:
        store = FolderStore(Path(root, "bucket"))
        made = publish(write(Path(root, "made"), files), store, "p/q", kind="model", code="c", seeds={"s": 1})
        got = fetch(store, "p/q", Path(root, "cache"))
        assert got == made and got.digest == made.digest
        assert {entry.name: (got.path / entry.name).read_bytes() for entry in got.manifest.files} == files


def test_the_folder_is_taken_over_or_kept(store: FolderStore, tmp_path: Path) -> None:
    first = publish(write(tmp_path / "a", FILES), store, "a", kind="model", keep=True)
    assert (tmp_path / "a" / "weights.bin").exists() and first.path == store.root / "a"
    second = publish(tmp_path / "a", store, "b", kind="model")
    assert not (tmp_path / "a").exists() and second.digest == first.digest


def test_manifest_says_what_it_was_made_from(store: FolderStore, tmp_path: Path) -> None:
    data = publish(write(tmp_path / "d", {"x": b"1"}), store, "d", kind="dataset")
    model = publish(
        write(tmp_path / "m", {"y": b"2"}),
        store,
        "m",
        kind="model",
        inputs={"data": data.digest},
        profile="p" * 64,
        seeds={"training": 3},
        meta={"step": 40},
    )
    found = find(store, "m")
    assert found and found == model.manifest
    assert found.inputs == {"data": data.digest} and found.seeds == {"training": 3} and found.meta == {"step": 40}
    assert found.code.startswith("0.") and "+" in found.code


def test_publishing_again_changes_nothing_and_another_is_refused(store: FolderStore, tmp_path: Path) -> None:
    made = publish(write(tmp_path / "a", FILES), store, "a", kind="model")
    assert publish(write(tmp_path / "a", FILES), store, "a", kind="model") == made
    with pytest.raises(RefusedError, match="already holds another"):
        publish(write(tmp_path / "b", FILES | {"empty": b"no"}), store, "a", kind="model")
    assert verify(made.path).ok


def test_files_that_are_no_artifact_are_not_overwritten(store: FolderStore, tmp_path: Path) -> None:
    store.put("a/precious", b"1")
    with pytest.raises(RefusedError, match="no artifact"):
        publish(write(tmp_path / "a", FILES), store, "a", kind="model")
    assert store.get("a/precious") == b"1" and find(store, "a") is None


def test_without_a_manifest_there_is_nothing_to_fetch(store: FolderStore, tmp_path: Path) -> None:
    store.put("a/weights.bin", b"")
    assert find(store, "a") is None
    with pytest.raises(MissingObjectError, match="no complete artifact"):
        fetch(store, "a", tmp_path / "cache")


def test_damage_in_the_store_is_found_by_fetch(store: FolderStore, tmp_path: Path) -> None:
    made = publish(write(tmp_path / "a", FILES), store, "a", kind="model")
    (made.path / "weights.bin").write_bytes(b"v" * 1000)
    with pytest.raises(VerificationError, match=r"weights\.bin"):
        fetch(store, "a", tmp_path / "cache")


def test_links_odd_names_and_foreign_manifests_are_refused(store: FolderStore, tmp_path: Path) -> None:
    folder = write(tmp_path / "a", FILES)
    (folder / "link").symlink_to(folder / "empty")
    with pytest.raises(DataError, match="link"):
        publish(folder, store, "a", kind="model")
    (folder / "link").unlink()
    (folder / MANIFEST).write_text('{"version": 3}')
    with pytest.raises(VerificationError, match="not a manifest"):
        publish(folder, store, "a", kind="model")
    (folder / MANIFEST).unlink()
    (folder / "EMPTY").write_bytes(b"")
    with pytest.raises(VerificationError, match="one file on some disks"):
        publish(folder, store, "a", kind="model")
    with pytest.raises(DataError, match="not a folder"):
        publish(tmp_path / "nowhere", store, "a", kind="model")
    assert store.list() == [] and (folder / "weights.bin").exists()


def test_a_lost_lease_publishes_nothing(store: FolderStore, tmp_path: Path) -> None:
    lease = Lease.take(store, "r")
    publish(write(tmp_path / "a", FILES), store, "runs/r/a", kind="model", lease=lease)
    Lease.take(store, "r")
    with pytest.raises(RefusedError, match="taken over"):
        publish(write(tmp_path / "b", FILES), store, "runs/r/b", kind="model", lease=lease)
    assert find(store, "runs/r/b") is None and (tmp_path / "b" / "empty").exists()


PUBLISHER = """
import sys
from pathlib import Path
from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
store = FolderStore(Path(sys.argv[1]))
for n in range(1000):
    print("ready", flush=True)
    publish(Path(sys.argv[2]), store, f"a/{n}", kind="model", keep=True)
"""


def test_killed_at_any_point_nothing_half_is_there(store: FolderStore, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {f"part-{i}": os.urandom(200_000) for i in range(12)})
    for round_ in range(6):
        command = [sys.executable, "-c", PUBLISHER, str(store.root), str(source)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
            assert publisher.stdout
            for _ in range(2):  # one is published when the second is begun
                assert publisher.stdout.readline() == b"ready\n"
            time.sleep(0.007 * round_)
            publisher.send_signal(signal.SIGKILL)
        published = list(store.root.glob("a/*"))
        assert published and all(verify(folder).ok for folder in published)
        store.delete("a")
    publish(source, store, "after", kind="model")
    assert [path.name for path in (store.root / ".incoming").iterdir()] == ["lock"]
