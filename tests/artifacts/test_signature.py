from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.signature import check_signature, make_keys, sign
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError
from tests.artifacts.strategies import write

pytest.importorskip("model_signing", reason="model-signing is not installed")


@pytest.fixture
def release(tmp_path: Path) -> Artifact:
    folder = write(tmp_path / "made", {"weights": b"w" * 1000, "card.md": b"# card"})
    return publish(folder, FolderStore(tmp_path / "bucket"), "release", kind="release")


def test_what_was_signed_is_vouched_for_and_still_verifies(release: Artifact, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "keys")
    assert private.stat().st_mode & 0o077 == 0
    sign(release.path, private)
    check_signature(release.path, public)
    assert verify(release.path).ok


def test_another_key_and_no_signature_are_refused(release: Artifact, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "keys")
    with pytest.raises(VerificationError, match="not signed"):
        check_signature(release.path, public)
    sign(release.path, private)
    _, other = make_keys(tmp_path / "other")
    with pytest.raises(VerificationError, match="is not what"):
        check_signature(release.path, other)


@pytest.mark.parametrize("name", ["weights", "manifest.json", "SHA256SUMS", "extra"])
def test_any_file_changed_after_signing_is_refused(release: Artifact, tmp_path: Path, name: str) -> None:
    private, public = make_keys(tmp_path / "keys")
    sign(release.path, private)
    with (release.path / name).open("ab") as file:
        file.write(b"?")
    with pytest.raises(VerificationError, match=name):
        check_signature(release.path, public)


@pytest.mark.parametrize("damage", [b"", b"{}", b"junk"])
def test_a_damaged_signature_is_one_clear_line(release: Artifact, tmp_path: Path, damage: bytes) -> None:
    private, public = make_keys(tmp_path / "keys")
    sign(release.path, private).write_bytes(damage)
    with pytest.raises(VerificationError) as caught:
        check_signature(release.path, public)
    assert "\n" not in str(caught.value)


def test_keys_are_never_overwritten_and_bad_ones_are_named(release: Artifact, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "keys")
    with pytest.raises(RefusedError, match=r"signing\.key exists"):
        make_keys(tmp_path / "keys")
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(ConfigError, match="junk"):
        sign(release.path, tmp_path / "junk")
    sign(release.path, private)
    for key in (tmp_path / "junk", tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match=key.name):
            check_signature(release.path, key)
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_only_a_complete_artifact_is_signed(tmp_path: Path) -> None:
    private, _ = make_keys(tmp_path / "keys")
    with pytest.raises(DataError, match="not a complete artifact"):
        sign(write(tmp_path / "half", {"x": b""}), private)
