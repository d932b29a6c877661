import shutil
from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.store import StoreError
from cortex.errors import CortexError, RefusedError, UsageError
from cortex.fleet.home.download import download
from cortex.fleet.home.teardown import abandon, teardown
from cortex.limits import RECORD_BYTES
from cortex.runs.ledger import LedgerReader
from tests.artifacts.strategies import write
from tests.fleet.conftest import RUN


class Rented:
    """Machines that a test rents."""

    def __init__(self, *names: str) -> None:
        self.up = list(names)

    def of_run(self, run: str) -> list[str]:
        return list(self.up) if run == RUN else []

    def destroy(self, name: str) -> None:
        self.up.remove(name)


def test_with_a_proven_copy_the_machines_go_and_the_ledger_says_so(
    store: FolderStore, release: Artifact, tmp_path: Path
) -> None:
    machines = Rented("cortex-a", "cortex-b")
    lease = Lease.take(store, RUN)
    download(RUN, store, tmp_path)
    assert teardown(RUN, store, tmp_path, machines) == ("cortex-a", "cortex-b")
    assert machines.up == []
    events = [(event["event"], event.get("machine")) for event in LedgerReader(store, RUN).new_events()]
    assert events == [("teardown", None), ("destroyed", "cortex-a"), ("destroyed", "cortex-b")]
    assert teardown(RUN, store, tmp_path, machines) == ()
    with pytest.raises(RefusedError, match="taken over"):
        lease.check()
    assert Receipt.read(tmp_path, RUN) and release.path.exists()


class Stuck(Rented):
    """Machines, one of which cannot be destroyed."""

    def destroy(self, name: str) -> None:
        if name == "stuck":
            raise CortexError("cannot destroy stuck: no")
        super().destroy(name)


def test_one_that_does_not_go_keeps_no_other(store: FolderStore) -> None:
    machines = Stuck("stuck", "cortex-b")
    with pytest.raises(CortexError, match="cannot destroy stuck"):
        abandon(RUN, RUN, store, machines)
    assert machines.up == ["stuck"]
    assert [event.get("machine") for event in LedgerReader(store, RUN).new_events()] == [None, "cortex-b"]


def test_a_bucket_that_stops_answering_meanwhile_keeps_no_other(
    store: FolderStore, release: Artifact, tmp_path: Path
) -> None:
    class Last(Rented):
        def destroy(self, name: str) -> None:
            super().destroy(name)
            ledger = release.path.parent / "ledger"
            if ledger.is_dir():
                ledger.rename(tmp_path / "away")
                ledger.write_text("no folder")

    machines = Last("a", "b")
    download(RUN, store, tmp_path)
    assert teardown(RUN, store, tmp_path, machines) == ("a", "b") and machines.up == []


def refused(store: FolderStore, home: Path, message: str) -> None:
    machines = Rented("cortex-a")
    with pytest.raises(RefusedError, match=message) as caught:
        teardown(RUN, store, home, machines)
    assert machines.up == ["cortex-a"] and caught.value.exit_code == 77
    assert str(caught.value).startswith(f"refusing to tear down {RUN}: ") and "\n" not in str(caught.value)


def test_without_a_release_or_a_receipt_it_refuses(store: FolderStore, tmp_path: Path) -> None:
    refused(store, tmp_path, "no release.*--abandon")
    publish(write(tmp_path / "r", {"x": b"1"}), store, f"runs/{RUN}/release", kind="release")
    refused(store, tmp_path, f"no receipt.*cortex download {RUN}")


def test_a_copy_off_the_machine_counts_once_the_bucket_has_the_same(
    store: FolderStore, release: Artifact, tmp_path: Path
) -> None:
    receipt = download(RUN, store, tmp_path).model_copy(update={"via": "cluster", "source": "ssh://box/release"})
    receipt.write(tmp_path)
    aside = release.path.rename(tmp_path / "not-yet-published")
    refused(store, tmp_path, rf"no release.*{receipt.path}, off ssh://box/release.*teardown {RUN} --abandon")
    aside.rename(release.path)
    assert teardown(RUN, store, tmp_path, Rented("a")) == ("a",)


@pytest.mark.parametrize("damage", ["flip", "remove file", "remove all", "manifest", "receipt"])
def test_a_copy_that_is_not_right_any_more_does_not_count(
    store: FolderStore, release: Artifact, tmp_path: Path, damage: str
) -> None:
    receipt = download(RUN, store, tmp_path)
    if damage == "flip":
        (receipt.path / "weights").write_bytes(b"w" * 4999 + b"v")
    elif damage == "remove file":
        (receipt.path / "card.md").unlink()
    elif damage == "remove all":
        shutil.rmtree(receipt.path)
    elif damage == "manifest":
        receipt.model_copy(update={"manifest": "0" * 64}).write(tmp_path)
    else:
        receipt.write(tmp_path).write_bytes(b"{}")
    refused(store, tmp_path, "download")
    download(RUN, store, tmp_path)
    assert teardown(RUN, store, tmp_path, Rented("a")) == ("a",) and release.digest


def test_what_the_user_put_beside_the_files_is_no_damage(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    receipt = download(RUN, store, tmp_path)
    (receipt.path / "notes.txt").write_bytes(b"mine")
    assert teardown(RUN, store, tmp_path, Rented("a")) == ("a",) and release.digest


def test_to_abandon_one_types_the_id_out(store: FolderStore) -> None:
    machines = Rented("cortex-a")
    for typed in ("", "demo", f"{RUN} "):
        with pytest.raises(UsageError, match="nothing was destroyed"):
            abandon(RUN, typed, store, machines)
    assert machines.up == ["cortex-a"]
    assert abandon(RUN, RUN, store, machines) == ("cortex-a",)
    assert [event["event"] for event in LedgerReader(store, RUN).new_events()] == ["teardown", "destroyed"]


class Unreachable(FolderStore):
    """A bucket that does not answer."""

    def list(self, prefix: str = "") -> list:
        raise StoreError(f"{self.url} cannot be listed")

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        raise StoreError(f"{self.url}/{key} cannot be read")


def test_a_bucket_that_does_not_answer_keeps_machines_but_not_from_abandoning(tmp_path: Path) -> None:
    store = Unreachable(tmp_path / "gone")
    refused(store, tmp_path, "cannot be read")
    assert abandon(RUN, RUN, store, Rented("cortex-a")) == ("cortex-a",)


@pytest.mark.parametrize("spoil", ["gone", "forged", "another"])
def test_a_copy_whose_own_manifest_is_not_the_bucket_s_is_no_proof(
    store: FolderStore, release: Artifact, tmp_path: Path, spoil: str
) -> None:
    copy = download(RUN, store, tmp_path).path / "manifest.json"
    if spoil == "gone":
        copy.unlink()
    else:
        other = Manifest(kind="other", files=release.manifest.files).data
        copy.write_bytes(other if spoil == "another" else b'{"kind":"evil","files":[]}')
    refused(store, tmp_path, "cannot be checked|another manifest")
