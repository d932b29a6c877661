"""Verifying a release's signer, with real keys and signatures, and with OpenSSF's own tool on the same folder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.file_names import LARGEST_SIGNATURE
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.signature import check_signature, sign
from cortex.artifacts.signing_keys import make_keys
from cortex.artifacts.trust import Trust, find_signature, fingerprint, read_signature, trusted_keys
from cortex.errors import ConfigError, RefusedError, VerificationError
from cortex.fleet.home.download import download, sign_release, signer_of
from tests.artifacts.strategies import write


def made(tmp_path: Path, name: str) -> Artifact:
    folder = write(
        tmp_path / name, {"model/weights": name.encode() * 1000, "card.md": b"# card", ".gitattributes": b"x"}
    )
    return publish(folder, FolderStore(tmp_path / "bucket"), name, kind="release")


@pytest.fixture
def release(tmp_path: Path) -> Artifact:
    return made(tmp_path, "release")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return make_keys(tmp_path / "keys")


def test_a_trusted_keys_signature_names_its_owner_and_openssfs_tool_agrees(
    release: Artifact, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    sign(release.path, private)
    store = FolderStore(tmp_path / "bucket")
    signer = Trust((public,), required=True).signer(release.manifest, find_signature(store, "release"))
    assert signer.known and str(signer) == f"signed by signing.pub ({fingerprint(public)})"
    der = ["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"]
    digest = subprocess.run(["sha256sum"], input=subprocess.check_output(der), capture_output=True, check=True).stdout
    assert fingerprint(public) == f"SHA256:{digest.decode()[:16]}"
    words = [Path(sys.executable).with_name("model_signing"), "verify", "key", release.path]
    words += ["--signature", release.path / "model.sig", "--public_key", public]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    (release.path / "card.md").write_bytes(b"# another")
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


def test_unsigned_another_key_and_a_key_that_was_removed_are_not_known(
    release: Artifact, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    _, other = make_keys(tmp_path / "other")
    asked = Trust((other,), required=True)
    unsigned = asked.signer(release.manifest, read_signature(release.path))
    assert str(unsigned) == "unsigned"
    sign(release.path, private)
    strange = asked.signer(release.manifest, read_signature(release.path))
    assert Trust((other, public)).signer(release.manifest, read_signature(release.path)).known
    public.unlink()
    revoked = Trust(trusted_keys(public.parent), required=True)
    assert revoked.keys == ()
    for signer in (unsigned, strange, revoked.signer(release.manifest, read_signature(release.path))):
        with pytest.raises(RefusedError, match=r"run r1 .*CORTEX_TRUST=signed") as refused:
            asked.require("r1", signer)
        assert not signer.known and "\n" not in str(refused.value)
        Trust().require("r1", signer)


def test_a_signature_of_another_release_too_large_or_damaged_proves_nothing(
    release: Artifact, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    another = sign(made(tmp_path, "another").path, private).read_bytes()
    mine = sign(release.path, private).read_bytes()
    bundle = json.loads(mine)
    bundle["dsseEnvelope"]["payload"] = json.loads(another)["dsseEnvelope"]["payload"]
    for signature, reason in (
        (another, "of another release"),
        (b" " * (LARGEST_SIGNATURE + 1), "holds more than"),
        (b"[]", "damaged"),
    ):
        (release.path / "model.sig").write_bytes(signature)
        read = read_signature(release.path)
        with pytest.raises(VerificationError, match=reason) as caught:
            Trust((public,), required=True).signer(release.manifest, read)
        assert "\n" not in str(caught.value)
        assert not Trust((public,)).signer(release.manifest, read).known
        with pytest.raises(VerificationError):
            check_signature(release.path, public)
    for forged in (json.dumps(bundle).encode(), b"", b"junk", mine[:-20]):
        assert not Trust((public,)).signer(release.manifest, forged).known
        with pytest.raises((VerificationError, RefusedError)):
            asked = Trust((public,), required=True)
            asked.require("r1", asked.signer(release.manifest, forged))


def test_a_bucket_gets_the_signature_and_a_spoilt_one_keeps_nobody_from_the_release(
    direct: RemoteStore, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    prefix, home, trust = "runs/r1/release", tmp_path / "home", Trust((public,))
    publish(write(tmp_path / "made", {"weights": b"w" * 1000}), direct, prefix, kind="release")
    copy = download("r1", direct, home).path
    assert str(signer_of(direct, "r1", trust)) == "unsigned"
    sign_release("r1", direct, copy, private)
    assert signer_of(direct, "r1", trust).known and direct.get(f"{prefix}/model.sig") == read_signature(copy)
    assert download("r1", direct, home, tmp_path / "second", trust=Trust((public,), required=True)).path.is_dir()
    for spoilt in (b"", b"{}", b" " * (LARGEST_SIGNATURE + 1)):
        direct.put(f"{prefix}/model.sig", spoilt)
        assert not signer_of(direct, "r1", trust).known
        assert download("r1", direct, home, trust=trust).path == copy
        assert trust.signer(Manifest.read(copy), read_signature(copy)).known, "the good one here stays"
        with pytest.raises((VerificationError, RefusedError)):
            download("r1", direct, home, tmp_path / "third", trust=Trust((public,), required=True))
        assert not (tmp_path / "third").exists()
        sign_release("r1", direct, copy, private)
        assert signer_of(direct, "r1", trust).known


def test_a_trusted_key_that_is_none_is_named(release: Artifact, keys: tuple[Path, Path], tmp_path: Path) -> None:
    sign(release.path, keys[0])
    (tmp_path / "junk.pub").write_text("junk")
    assert trusted_keys(tmp_path) == (tmp_path / "junk.pub",) and trusted_keys(tmp_path / "nowhere") == ()
    with pytest.raises(ConfigError, match=r"junk\.pub"):
        Trust((tmp_path / "junk.pub",)).signer(release.manifest, read_signature(release.path))
