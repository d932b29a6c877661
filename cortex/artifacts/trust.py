# pyright: standard, reportMissingImports=false
"""The signer of a release, found from its signature and its manifest alone, and the rule whether that is enough.

A signature by OpenSSF model-signing lists every file with its SHA-256, as the manifest does. If the lists agree and the
signature is by a trusted key, the key's owner vouches for the manifest. Verifying that the bytes match the manifest is
a separate step. So a release in a bucket can be judged without downloading its files.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from cortex.artifacts.file_names import LARGEST_SIGNATURE, MANIFEST, SIGNATURE
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.signing_keys import check_public_key
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import RefusedError, VerificationError
from cortex.limits import open_file

GIT = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
"""Entries at the top of a folder that model-signing leaves out."""


@dataclass(frozen=True)
class Signer:
    """The person who vouches for a release."""

    known: bool
    """True if the signer owns a key that is trusted on this machine."""
    words: str
    """Text such as "signed by ada.pub (SHA256:0123456789abcdef)", or the reason why there is no known signer."""

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Trust:
    """The keys whose signatures count on this machine, and whether one is required."""

    keys: tuple[Path, ...] = ()
    """Public keys in PEM."""
    required: bool = False
    """True if a release that none of them signed is refused."""

    def signer(self, manifest: Manifest, signature: bytes | None) -> Signer:
        """The signer of the release with this manifest. `signature` has the bytes of `model.sig`, None without one.

        Where no signature is required, one that proves nothing is no error.

        Raises:
            VerificationError: a signature is required, and this one is of another release, or damaged.
            ConfigError: a trusted key cannot be used.
        """
        if signature is None:
            return Signer(False, "unsigned")
        for key in self.keys:
            check_public_key(key)
        try:
            by = next((key for key in self.keys if _is_signed_by(manifest, signature, key)), None)
        except VerificationError as error:
            if self.required:
                raise
            return Signer(False, f"not proven to be signed: {error}")
        if by is None:
            return Signer(False, "signed, but by no key that is trusted here (CORTEX_TRUSTED_KEYS)")
        return Signer(True, f"signed by {by.name} ({fingerprint(by)})")

    def require(self, run: str, signer: Signer) -> None:
        """Return if this signer is enough.

        Raises:
            RefusedError: a signature is required, and there is none by a trusted key.
        """
        if self.required and not signer.known:
            raise RefusedError(
                f"the release of run {run} is {signer}, and CORTEX_TRUST=signed asks for a signature by a trusted key: "
                f"have it signed (cortex sign {run}), or name the signer's public key with CORTEX_TRUSTED_KEYS"
            )


def trusted_keys(place: Path) -> tuple[Path, ...]:
    """The public keys that a setting names: a file, or every `*.pub` of a folder; none if it does not exist yet."""
    return tuple(sorted(place.glob("*.pub"))) if place.is_dir() else (place,) if place.exists() else ()


def fingerprint(public_key: Path) -> str:
    """A key's fingerprint: the first digits of the SHA-256 of its DER (`openssl pkey -pubin -outform DER`).

    Raises:
        ConfigError: it is no public key.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    check_public_key(public_key)
    key = load_pem_public_key(public_key.read_bytes())
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{hashlib.sha256(data).hexdigest()[:16]}"


def read_signature(folder: Path) -> bytes | None:
    """The signature beside a release's files; of a too large one, no more than one byte beyond the limit."""
    try:
        with open_file(folder / SIGNATURE) as file:
            return file.read(LARGEST_SIGNATURE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VerificationError(f"{folder / SIGNATURE} cannot be read: {error.strerror}") from error


def find_signature(store: Store, prefix: str) -> bytes | None:
    """The signature of a release in a store; of a too large one, no more than one byte beyond the limit."""
    key = f"{prefix}/{SIGNATURE}"
    try:
        # S3 gives no range of an empty object.
        return bytes(store.get_range(key, 0, min(store.size(key), LARGEST_SIGNATURE + 1)))
    except MissingObjectError:
        return None


def _is_signed_by(manifest: Manifest, signature: bytes, key: Path) -> bool:
    """Tell if the key's owner signed these files; False if the signature is by another key.

    Raises:
        VerificationError: the owner signed another release, or the signature cannot be read.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import hashing, verifying
    from model_signing import manifest as signed
    from model_signing._hashing.hashing import Digest

    if len(signature) > LARGEST_SIGNATURE:
        raise VerificationError(f"{SIGNATURE} holds more than {LARGEST_SIGNATURE:,} bytes: it is no signature")
    entries = [(entry.name, entry.sha256) for entry in manifest.files] + [(MANIFEST, manifest.digest)]
    compared = list[bool]()

    class Listed(hashing.Config):
        """Gives the files as the manifest lists them, in place of hashing them again."""

        def hash(self, *words: object, **options: object) -> signed.Manifest:
            compared.append(True)
            items = [
                signed.FileManifestItem(path=PurePosixPath(name), digest=Digest("sha256", bytes.fromhex(sha256)))
                for name, sha256 in entries
                if PurePath(name).parts[0] not in GIT
            ]
            kind = signed.SerializationType.from_args(
                {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
            )
            return signed.Manifest("release", items, kind)

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, SIGNATURE)
        path.write_bytes(signature)
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(Listed())
        try:
            verifier.verify(Path(scratch), path)
        except (ValueError, InvalidSignature) as error:
            if compared:
                raise VerificationError(
                    f"{SIGNATURE} is of another release than this: ask its maker for its own"
                ) from error
            return False
        except (LookupError, AttributeError, TypeError, RecursionError) as error:
            raise VerificationError(f"{SIGNATURE} is damaged, or no signature by a key") from error
    return True
