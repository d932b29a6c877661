import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.verify import verify
from cortex.errors import DataError, RefusedError, VerificationError
from cortex.fleet.home.download import attach_signature, download
from tests.fleet.conftest import RUN

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_release_comes_home_with_a_receipt(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    receipt = download(RUN, store, tmp_path / "home", now=lambda: NOW)
    assert receipt.path == tmp_path / "home/releases" / RUN and verify(receipt.path).ok
    assert receipt.manifest == release.digest and receipt.verified == NOW and receipt.size == release.manifest.size
    assert Receipt.read(tmp_path / "home", RUN) == receipt


def test_sha256sum_checks_it_without_our_code(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    path = download(RUN, store, tmp_path / "home", tmp_path / "elsewhere").path
    command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=path, check=False).returncode == 0
    (path / "weights").write_bytes(b"v" * 5000)
    assert subprocess.run(command, cwd=path, check=False, capture_output=True).returncode == 1
    assert release.digest


def test_downloading_again_is_a_check(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    first = download(RUN, store, tmp_path / "home")
    (first.path / "weights").write_bytes(b"v" * 5000)
    assert download(RUN, store, tmp_path / "home").path == first.path
    assert verify(first.path).ok and release.digest == first.manifest


def test_a_failed_download_leaves_no_receipt(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    (release.path / "weights").write_bytes(b"v" * 5000)
    with pytest.raises(VerificationError, match="weights is damaged"):
        download(RUN, store, tmp_path / "home")
    assert Receipt.read(tmp_path / "home", RUN) is None
    with pytest.raises(DataError, match="no release"):
        download("other", store, tmp_path / "home")


def test_a_signature_goes_to_the_bucket_and_comes_with_the_next_download(
    store: FolderStore, release: Artifact, tmp_path: Path
) -> None:
    path = download(RUN, store, tmp_path / "home").path
    (path / "model.sig").write_bytes(b"signature")
    attach_signature(store, RUN, path)
    again = download(RUN, store, tmp_path / "home", tmp_path / "second").path
    assert (again / "model.sig").read_bytes() == b"signature" and verify(again).ok
    (release.path / "model.sig").unlink()
    other = download(RUN, store, tmp_path / "home", tmp_path / "third").path
    (other / "manifest.json").unlink()
    with pytest.raises(DataError):
        attach_signature(store, RUN, other)


def test_a_receipt_of_another_run_is_not_taken(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    receipt = download(RUN, store, tmp_path / "home")
    path = receipt.write(tmp_path / "home")
    path.rename(path.with_name("other.json"))
    with pytest.raises(DataError, match=f"receipt of run {RUN}"):
        Receipt.read(tmp_path / "home", "other")
    path.write_bytes(b"{}")
    with pytest.raises(DataError, match="not a receipt"):
        Receipt.read(tmp_path / "home", RUN)
    assert release.digest == receipt.manifest


def test_somebody_elses_folder_is_refused(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/me.jpg").write_bytes(b"1")
    with pytest.raises(RefusedError, match="other files"):
        download(RUN, store, tmp_path / "home", tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["me.jpg"] and release.digest
