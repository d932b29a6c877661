from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.signature import check_identity, check_signature, make_keys, sign
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


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No way to Sigstore, and nothing of it known from before."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


@pytest.mark.usefixtures("offline")
def test_without_a_key_and_a_network_the_error_is_one_line_that_says_what_to_do(
    release: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"needs the internet and a login .*--key") as signing:
        sign(release.path)
    assert not (release.path / "model.sig").exists() and verify(release.path).ok
    with pytest.raises(VerificationError, match="not signed"):
        check_identity(release.path, "me@example.org", "https://accounts.example.org")
    sign(release.path, make_keys(tmp_path / "keys")[0])
    with pytest.raises(ConfigError, match="trusted keys come over the internet") as checking:
        check_identity(release.path, "me@example.org", "https://accounts.example.org")
    assert "\n" not in f"{signing.value}{checking.value}"


def test_only_a_complete_artifact_is_signed(tmp_path: Path) -> None:
    private, _ = make_keys(tmp_path / "keys")
    with pytest.raises(DataError, match="not a complete artifact"):
        sign(write(tmp_path / "half", {"x": b""}), private)
