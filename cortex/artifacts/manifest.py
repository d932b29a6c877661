"""The manifest: an artifact's files with their sizes and hashes, and the inputs that it was made from."""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from cortex.artifacts.file_names import MANIFEST, check_name, check_names
from cortex.errors import DataError, VerificationError
from cortex.limits import FILE_BYTES, MANIFEST_BYTES, MANIFEST_FILES, read_file, read_json

__all__ = ["MANIFEST", "Digest", "FileEntry", "Manifest"]

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lowercase hexadecimal."""


class FileEntry(BaseModel):
    """One file of an artifact: its name relative to the folder, its size in bytes, its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, Field(strict=True)]
    size: Annotated[int, Field(ge=0, le=FILE_BYTES, strict=True)]
    sha256: Digest

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str) -> str:
        return check_name(name)


class Manifest(BaseModel):
    """An artifact's files and origin. Equal inputs give equal manifests: it holds no time and no run id.

    Unknown keys are kept, so that an older version of the kit can read and copy a newer one's artifacts.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Annotated[str, Field(min_length=1, max_length=100)]
    """The kind of artifact, such as `dataset`, `checkpoint`, `model` or `release`."""

    files: Annotated[tuple[FileEntry, ...], Field(max_length=MANIFEST_FILES)]
    """Every file but the manifest and its signature, sorted by name."""

    inputs: dict[str, Digest] = Field(default_factory=dict)
    """The digests of the manifests that this artifact was made from, by name."""

    code: Annotated[str, Field(max_length=200)] = ""
    """The version of the code that made it, as `cortex.artifacts.code_version` gives it."""

    profile: str | None = None
    """The hash of the profile that it was made with."""

    seeds: dict[str, int] = Field(default_factory=dict)
    """Every seed that was used, by name."""

    meta: dict[str, JsonValue] = Field(default_factory=dict)
    """Further values that the kind of artifact needs: steps, scores, sizes."""

    @field_validator("files")
    @classmethod
    def _distinct(cls, files: tuple[FileEntry, ...]) -> tuple[FileEntry, ...]:
        check_names(entry.name for entry in files)
        return tuple(sorted(files, key=lambda entry: entry.name))

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes, as `manifest.json` holds them: sorted keys, no spaces, UTF-8, one final newline."""
        try:
            text = json.dumps(
                self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
            )
            return text.encode() + b"\n"
        except ValueError as error:
            raise DataError(f"manifest of a {self.kind!r} cannot be written as JSON: {error}") from error

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of `data`: the artifact's identity, and what `sha256sum manifest.json` prints."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.files)

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """Read canonical bytes; `where` names them in the error.

        Raises:
            VerificationError: they are not a manifest, list unsafe names, or were rewritten after publication.
        """
        try:
            manifest = cls.model_validate(read_json(data))
            canonical = manifest.data
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise VerificationError(f"{where} is not a manifest: {place or 'top level'}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise VerificationError(f"{where} is not a manifest: {error}") from error
        if canonical != data:
            raise VerificationError(f"{where} was rewritten after it was published: fetch the artifact again")
        return manifest

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the manifest of an artifact's folder.

        Raises:
            DataError: the folder has none, so it is no complete artifact.
            VerificationError: it cannot be read or is not a manifest.
        """
        path = folder / MANIFEST
        try:
            data = read_file(path, MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{folder} has no {MANIFEST}: it is not a complete artifact") from error
        except OSError as error:
            raise VerificationError(f"{path} cannot be read: {error.strerror}") from error
        return cls.parse(data, str(path))
