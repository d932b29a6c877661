import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.signature import check_identity, check_signature, sign
from cortex.artifacts.signing_keys import make_keys
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


@pytest.mark.parametrize("damage", [b"", b"{}", b"junk", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_signature_is_one_clear_line(release: Artifact, tmp_path: Path, damage: bytes) -> None:
    private, public = make_keys(tmp_path / "keys")
    sign(release.path, private).write_bytes(damage)
    with pytest.raises(VerificationError) as caught:
        check_signature(release.path, public)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("within", "field", "value"),
    [
        ("dsseEnvelope", "signatures", []),
        ("dsseEnvelope", "payload", ""),
        ("verificationMaterial", "publicKey", None),
        ("verificationMaterial", "publicKey", {"hint": "of another key"}),
    ],
)
def test_a_signature_that_lacks_a_part_is_one_clear_line(
    release: Artifact, tmp_path: Path, within: str, field: str, value: object
) -> None:
    private, public = make_keys(tmp_path / "keys")
    signature = sign(release.path, private)
    bundle = json.loads(signature.read_text())
    bundle[within][field] = value
    signature.write_text(json.dumps(bundle))
    with pytest.raises(VerificationError, match="release") as caught:
        check_signature(release.path, public)
    assert "\n" not in str(caught.value)


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "keys")
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(RefusedError, match=r"signing\.key exists"):
        make_keys(tmp_path / "keys")
    assert (private.read_bytes(), public.read_bytes()) == before
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_keys_need_a_folder_that_can_hold_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file cannot hold a key pair"):
        make_keys(tmp_path / "file")


def pem(key: PrivateKeyTypes, password: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption())


def name_fault(value: bytes | str) -> str:
    """A test's name by its fault: keys are new in each process, and names must not differ between processes."""
    return value if isinstance(value, str) else "file"


def public_pem(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

NO_KEYS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "text": (b"junk", "holds no key"),
    "certificate": (CERTIFICATE, "holds a certificate"),
    "der": (P256.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "is binary, such as a key in DER"),
    "openssh": (pem(P256, form=PrivateFormat.OpenSSH), "holds a key in OpenSSH's own format"),
    "large": (b"x" * 100_000, "is too large for a key"),
}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        *NO_KEYS.values(),
        (pem(P256, b"secret"), "is protected by a password.*openssl pkey"),
        (pem(P256, b"secret", PrivateFormat.TraditionalOpenSSL), "is protected by a password.*openssl pkey"),
        (pem(ED25519), "is a key of kind Ed25519: releases take P-256, P-384 or P-521"),
        (pem(RSA), "is a key of kind RSA"),
        (pem(RSA, b"secret"), "is protected by a password"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "is a key of kind secp256k1"),
        (pem(x25519.X25519PrivateKey.generate()), "is a key of kind X25519"),
        (public_pem(P256), "holds a public key"),
        (pem(P256)[:90], "holds a private key, or a damaged one"),
    ],
    ids=name_fault,
)
def test_what_cannot_sign_is_named(release: Artifact, tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{tmp_path}/mine {fault}") as caught:
        sign(release.path, tmp_path / "mine")
    assert "\n" not in str(caught.value) and not (release.path / "model.sig").exists()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        *NO_KEYS.values(),
        (public_pem(ED25519), "is a key of kind Ed25519: releases take P-256, P-384 or P-521"),
        (public_pem(RSA), "is a key of kind RSA"),
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "is a key of kind secp256k1"),
        (pem(P256), "holds a private key"),
        (pem(P256, b"secret"), "holds a private key"),
    ],
    ids=name_fault,
)
def test_what_cannot_check_a_signature_is_named(release: Artifact, tmp_path: Path, content: bytes, fault: str) -> None:
    sign(release.path, make_keys(tmp_path / "keys")[0])
    (tmp_path / "theirs").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{tmp_path}/theirs {fault}") as caught:
        check_signature(release.path, tmp_path / "theirs")
    assert "\n" not in str(caught.value)


def test_a_key_is_a_file_that_can_be_read(release: Artifact, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    faults = {tmp_path: "is a folder", tmp_path / "pipe": "is no regular file", tmp_path / "no": "cannot be read"}
    for path, fault in faults.items():
        for call in (sign, check_signature):
            with pytest.raises(ConfigError, match=f"^{path} {fault}"):
                call(release.path, path)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_keys_on_larger_curves_sign_and_check(release: Artifact, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    (tmp_path / "mine").write_bytes(pem(key))
    (tmp_path / "mine.pub").write_bytes(public_pem(key))
    sign(release.path, tmp_path / "mine")
    check_signature(release.path, tmp_path / "mine.pub")
    with pytest.raises(VerificationError, match="is not what"):
        check_signature(release.path, make_keys(tmp_path / "keys")[1])


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection to Sigstore, and nothing cached from it."""
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


@pytest.mark.parametrize("name", ["weights", "extra.py"])
def test_only_what_is_as_published_is_signed(release: Artifact, tmp_path: Path, name: str) -> None:
    private, _ = make_keys(tmp_path / "keys")
    (release.path / name).write_bytes(b"other")
    with pytest.raises(VerificationError, match="is not what its manifest says"):
        sign(release.path, private)
    assert not (release.path / "model.sig").exists()
