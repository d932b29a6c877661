# pyright: standard, reportMissingImports=false
"""The keys that releases are signed and checked with: elliptic-curve keys in PEM, without a password.

OpenSSF model-signing takes no others, and fails on them with errors that name neither the file nor the reason.
"""

import os
import re
import stat
from pathlib import Path

from cortex.errors import ConfigError, RefusedError

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The curves that model-signing supports: P-256, P-384 and P-521."""

LARGEST_KEY = 64 * 1024
"""Bytes. A key has a few hundred; a larger file is no key, and is not read."""

PRIVATE_KEY, PUBLIC_KEY = "signing.key", "signing.pub"

MAKE_A_PAIR = "`cortex keys DIR` makes a pair"

DER_SEQUENCE = 0x30
"""The first byte of every key and certificate in DER."""

_CONTENTS = {
    "OPENSSH PRIVATE KEY": "a key in OpenSSH's own format",
    "PRIVATE KEY": "a private key, or a damaged one",
    "PUBLIC KEY": "a public key, or a damaged one",
    "CERTIFICATE": "a certificate",
}
"""The contents by PEM label; the first match counts."""

_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a key pair (ECDSA on P-256, in PEM), and return the paths of the private key, which only its owner can read,
    and of the public key.

    Raises:
        RefusedError: there is a key already.
        ConfigError: the folder cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    if os.path.lexists(private):
        raise RefusedError(f"{private} exists: what it signed would lose its key; choose another folder")
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The public key comes first, so that a full disk leaves no private key that would refuse the next attempt.
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except OSError as error:
        raise ConfigError(f"{folder} cannot hold a key pair ({error.strerror}): choose another folder") from error
    return private, public


def check_private_key(path: Path) -> None:
    """Return if a release can be signed with this key.

    Raises:
        ConfigError: it cannot be read, or it is no such key; the message says what it is instead.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(path)
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:
        raise ConfigError(
            f"{path} is protected by a password, which cannot be given here: `openssl pkey -in {path} -out FILE` "
            f"writes it without; or {MAKE_A_PAIR}"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} {_describe(data)}; signing needs a private key in PEM: {MAKE_A_PAIR}") from error
    _require_curve(path, key)


def check_public_key(path: Path) -> None:
    """Return if signatures can be checked with this key.

    Raises:
        ConfigError: it cannot be read, or it is no such key; the message says what it is instead.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _read(path)
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{path} {_describe(data)}; checking needs the signer's public key in PEM, such as {PUBLIC_KEY}"
        ) from error
    _require_curve(path, key)


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        # A pipe would block, and could be read only once, while the library reads the file again.
        if not stat.S_ISREG(mode):
            raise ConfigError(
                f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}: name the key's file"
            )
        with path.open("rb") as file:
            data = file.read(LARGEST_KEY + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the key's file; {MAKE_A_PAIR}") from error
    if len(data) > LARGEST_KEY:
        raise ConfigError(f"{path} is too large for a key: name the key's file; {MAKE_A_PAIR}")
    return data


def _require_curve(path: Path, key: object) -> None:
    curve = getattr(key, "curve", None)
    if curve is not None and curve.name in CURVES:
        return
    kind = re.sub(r"_?(Private|Public)Key$", "", type(key).__name__) if curve is None else curve.name
    raise ConfigError(f"{path} is a key of kind {kind}: releases take P-256, P-384 or P-521; {MAKE_A_PAIR}")


def _describe(data: bytes) -> str:
    """The words for the contents of a file that is not the key that was expected."""
    if not data.strip():
        return "is empty"
    label = " ".join(label.decode() for label in _LABEL.findall(data))
    for part, words in _CONTENTS.items():
        if part in label:
            return f"holds {words}"
    return "is binary, such as a key in DER" if data[0] == DER_SEQUENCE else "holds no key"
