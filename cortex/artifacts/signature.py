# pyright: standard, reportMissingImports=false
"""Signatures by OpenSSF model-signing: who vouches for a release, checkable with that project's own tool.

The signature covers the manifest, which covers every file, and the files themselves (less git's own, which that
project leaves out); it lies beside them as `model.sig`. With a key pair nothing leaves this machine; without one,
signing and checking go by the user's own identity over the public Sigstore service.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.names import PART, SIGNATURE
from cortex.errors import ConfigError, RefusedError, VerificationError

if TYPE_CHECKING:
    from model_signing.verifying import Config

PRIVATE_KEY, PUBLIC_KEY = "signing.key", "signing.pub"


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make a key pair (ECDSA on P-256, in PEM): the private key's path, which only its owner may read, and the public.

    Raises:
        RefusedError: there is a key already.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private, public = folder / PRIVATE_KEY, folder / PUBLIC_KEY
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RefusedError(f"{private} exists: what it signed would lose its key; choose another folder") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def sign(folder: Path, private_key: Path | None = None) -> Path:
    """Sign a complete artifact's folder, and return the signature's path. Without a key, the user is asked to log in.

    Raises:
        DataError: the folder is no complete artifact.
        ConfigError: the key cannot be used; or, without one, Sigstore cannot be reached or refused the login.
    """
    from model_signing import hashing, signing

    Manifest.read(folder)
    signature = folder / SIGNATURE
    hashed = hashing.Config().set_ignored_paths(paths=[SIGNATURE, PART], ignore_git_paths=True)
    try:
        config = signing.Config().set_hashing_config(hashed)
        if private_key:
            config.use_elliptic_key_signer(private_key=private_key).sign(folder, signature)
        else:
            config.use_sigstore_signer().sign(folder, signature)
    except (ValueError, OSError, *_sigstore_errors()) as error:
        if private_key:
            raise ConfigError(f"{folder} cannot be signed with {private_key}: {error}") from error
        raise ConfigError(
            f"{folder} cannot be signed with your identity ({_line(error)}): that needs the internet and a login at "
            "Sigstore; or sign with a key: cortex sign DIR --key signing.key"
        ) from error
    return signature


def check_signature(folder: Path, public_key: Path) -> None:
    """Return if the folder is what the owner of the key signed.

    Raises:
        VerificationError: there is no signature, it is by another key, or a file differs.
        ConfigError: the key cannot be used.
    """
    from model_signing import verifying

    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{public_key} is no public key in PEM: {error}") from error
    _check(folder, verifier, str(public_key))


def check_identity(folder: Path, identity: str, issuer: str) -> None:
    """Return if the folder is what this identity (an e-mail address or a workflow) signed without a key.

    Raises:
        VerificationError: as `check_signature`.
        ConfigError: Sigstore's list of trusted keys cannot be fetched.
    """
    from model_signing import verifying

    _require_signature(folder)
    try:
        verifier = verifying.Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer)
    except (ValueError, OSError, *_sigstore_errors()) as error:
        raise ConfigError(
            f"who signed {folder} cannot be checked ({_line(error)}): Sigstore's trusted keys come over the internet; "
            "try again where that can be reached"
        ) from error
    _check(folder, verifier, f"{identity} ({issuer})")


def _check(folder: Path, verifier: "Config", signer: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from sigstore.errors import Error as SigstoreError

    try:
        verifier.verify(folder, _require_signature(folder))
    except (ValueError, KeyError, TypeError, InvalidSignature, SigstoreError) as error:
        raise VerificationError(f"{folder} is not what {signer} signed: {_line(error)}") from error


def _require_signature(folder: Path) -> Path:
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise VerificationError(f"{folder} has no {SIGNATURE}: it was not signed; ask its maker for the signature")
    return signature


def _sigstore_errors() -> tuple[type[Exception], ...]:
    """What goes wrong between this machine and Sigstore's services; two of the names it keeps to itself."""
    from sigstore._internal.fulcio.client import FulcioClientError
    from sigstore._internal.rekor import RekorClientError
    from sigstore.errors import Error
    from sigstore.oidc import ExpiredIdentity, IssuerError

    return (Error, IssuerError, ExpiredIdentity, FulcioClientError, RekorClientError)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
