"""The manifest of a folder that is to be published."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from cortex.artifacts.code_version import code_version
from cortex.artifacts.file_names import check_names
from cortex.artifacts.folders import scan, write_whole
from cortex.artifacts.hashing import hash_files
from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.errors import DataError

RELEASE = "release"
"""The kind of artifact that users take home."""

CODE = "mac"
"""The key in `meta` of a message authentication code over the rest of the manifest."""

SUMS = "SHA256SUMS"
"""A release's list of its files for `sha256sum -c`, on a machine without the kit."""


@dataclass(frozen=True)
class Origin:
    """An artifact's kind and the things it was made from: everything in its manifest but its files."""

    kind: str
    inputs: dict[str, str]
    code: str
    profile: str | None
    seeds: dict[str, int]
    meta: dict[str, JsonValue]
    code_of: Callable[[Manifest], str] | None = None
    """Makes the authentication code that `meta` gets as `mac`, from the manifest without it."""

    @classmethod
    def of(
        cls,
        kind: str,
        inputs: Mapping[str, str] | None,
        code: str | None,
        profile: str | None,
        seeds: Mapping[str, int] | None,
        meta: Mapping[str, JsonValue] | None,
        code_of: Callable[[Manifest], str] | None = None,
    ) -> "Origin":
        """Fill in the defaults: empty mappings, and this code's version."""
        return cls(
            kind=kind,
            inputs=dict(inputs or {}),
            code=code_version() if code is None else code,
            profile=profile,
            seeds=dict(seeds or {}),
            meta=dict(meta or {}),
            code_of=code_of,
        )

    def manifest(self, files: Iterable[FileEntry]) -> Manifest:
        bare = Manifest(
            kind=self.kind,
            files=tuple(files),
            inputs=self.inputs,
            code=self.code,
            profile=self.profile,
            seeds=self.seeds,
            meta=self.meta,
        )
        return bare if self.code_of is None else with_code(bare, self.code_of(bare))


def with_code(manifest: Manifest, code: str) -> Manifest:
    """The manifest with an authentication code in `meta`."""
    return Manifest.model_validate({**manifest.model_dump(), "meta": {**manifest.meta, CODE: code}})


def without_code(manifest: Manifest) -> Manifest:
    """The manifest without its authentication code, as the code was made from it."""
    meta = {name: value for name, value in manifest.meta.items() if name != CODE}
    return Manifest.model_validate({**manifest.model_dump(), "meta": meta})


def describe(
    folder: Path,
    *,
    kind: str,
    inputs: Mapping[str, str] | None = None,
    code: str | None = None,
    profile: str | None = None,
    seeds: Mapping[str, int] | None = None,
    meta: Mapping[str, JsonValue] | None = None,
) -> Manifest:
    """Hash a folder's files into a manifest, without writing it. `code` is by default this code's version.

    Raises:
        DataError: there is no such folder, or it holds links, names that cannot be kept, or a file that changed.
    """
    return describe_as(Origin.of(kind, inputs, code, profile, seeds, meta), folder)


def describe_as(origin: Origin, folder: Path) -> Manifest:
    """`describe` with a given origin; writes a release's `SHA256SUMS`."""
    entries = hash_entries(folder, contents(folder, origin))
    if origin.kind == RELEASE:
        entries += hash_entries(folder, write_sums(folder, entries))
    return origin.manifest(entries)


def contents(folder: Path, origin: Origin) -> tuple[str, ...]:
    """The names of the files of an artifact made from this folder, without a release's `SHA256SUMS`.

    Raises:
        DataError: there is no such folder, or it holds links or unsafe names.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise DataError(f"{folder} is not a folder: give the one that holds the artifact's files")
    if (folder / MANIFEST).exists():
        # A manifest of an earlier attempt may be overwritten; a user's file of the same name raises here.
        Manifest.read(folder)
    found = scan(folder)
    if found.odd:
        raise DataError(f"{folder} holds {found.odd[0]!a}, which is no plain file: put a copy of the file there")
    names = tuple(name for name in found.files if name != SUMS or origin.kind != RELEASE)
    check_names(names)
    return names


def hash_entries(folder: Path, names: Iterable[str]) -> tuple[FileEntry, ...]:
    """The manifest entries of a folder's files, in the order given."""
    names = tuple(names)
    hashes = hash_files([folder / name for name in names])
    return tuple(
        FileEntry(name=name, size=found.size, sha256=found.sha256) for name, found in zip(names, hashes, strict=True)
    )


def write_sums(folder: Path, entries: Iterable[FileEntry]) -> tuple[str, ...]:
    """Write a release's `SHA256SUMS`, and return its name."""
    lines = [f"{entry.sha256}  {entry.name}\n" for entry in sorted(entries, key=lambda entry: entry.name)]
    write_whole(folder / SUMS, "".join(lines).encode())
    return (SUMS,)
