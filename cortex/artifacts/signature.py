# pyright: standard, reportMissingImports=false
"""Signatures of releases by OpenSSF model-signing, which that project's own tool can check.

The signature, `model.sig`, covers the manifest, which covers every file, and the files themselves (except git's own,
which that project leaves out). With a key pair nothing leaves this machine. Without one, signing and checking use the
user's own identity over the public Sigstore service.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from cortex.artifacts.file_names import LARGEST_SIGNATURE, PART, SIGNATURE
from cortex.artifacts.signing_keys import check_private_key, check_public_key
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, VerificationError

if TYPE_CHECKING:
    from model_signing.verifying import Config


def sign(folder: Path, private_key: Path | None = None) -> Path:
    """Sign a complete artifact's folder, and return the signature's path. Without a key, the user is asked to log in.

    Raises:
        DataError: the folder is no complete artifact.
        VerificationError: it is not what its manifest says, or holds files that are not listed.
        ConfigError: the key cannot be used; or, without one, Sigstore cannot be reached or refused the login.
    """
    from model_signing import hashing, signing

    if private_key:
        check_private_key(private_key)
    verify(folder).require()
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
    """Return if the owner of the key signed the folder as it is.

    Raises:
        VerificationError: there is no signature, it is by another key, or a file differs.
        ConfigError: the key cannot be used.
    """
    from model_signing import verifying

    check_public_key(public_key)
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=public_key)
    _check(folder, verifier, str(public_key))


def check_identity(folder: Path, identity: str, issuer: str) -> None:
    """Return if this identity (an e-mail address or a workflow) signed the folder without a key.

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

    signature = _require_signature(folder)
    try:
        verifier.verify(folder, signature)
    except (ValueError, OSError, InvalidSignature, SigstoreError) as error:
        raise VerificationError(f"{folder} is not what {signer} signed: {_line(error)}") from error
    except (LookupError, AttributeError, TypeError, RecursionError) as error:
        # The library does not check the file's fields before it uses them.
        raise VerificationError(f"{signature} is damaged, or not of the kind that {signer} signs with") from error


def _require_signature(folder: Path) -> Path:
    signature = folder / SIGNATURE
    if not signature.is_file():
        raise VerificationError(f"{folder} has no {SIGNATURE}: it was not signed; ask its maker for the signature")
    if signature.stat().st_size > LARGEST_SIGNATURE:
        raise VerificationError(f"{signature} holds more than {LARGEST_SIGNATURE:,} bytes: it is no signature")
    return signature


def _sigstore_errors() -> tuple[type[Exception], ...]:
    """The errors of requests to Sigstore's services; the library does not export two of them."""
    from sigstore._internal.fulcio.client import FulcioClientError
    from sigstore._internal.rekor import RekorClientError
    from sigstore.errors import Error
    from sigstore.oidc import ExpiredIdentity, IssuerError

    return (Error, IssuerError, ExpiredIdentity, FulcioClientError, RekorClientError)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
