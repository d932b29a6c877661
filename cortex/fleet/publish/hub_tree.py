"""The files of a repository on the hub, by the hashes that the hub reports, compared with a release's own."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.artifacts.file_names import MANIFEST, SIGNATURE
from cortex.artifacts.manifest import Manifest
from cortex.errors import DataError
from cortex.fleet.publish.hub_client import explaining_hub
from cortex.limits import OBJECTS, SIGNATURE_BYTES, read_file

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

CARD = "README.md"
LAST = (CARD, MANIFEST, SIGNATURE)
"""The files that make a repository a release. They come in one commit, after all others were verified."""

HUBS_OWN = frozenset({".gitattributes"})
"""Files that the hub makes in each repository."""


@dataclass(frozen=True)
class LocalFile:
    """A file to publish: on this disk, or its bytes."""

    name: str
    size: int
    sha256: str
    source: Path | bytes

    def blob(self) -> str:
        """The hash that git gives to the file's contents: SHA-1 over `blob <size>`, a zero byte, and the bytes."""
        # Git names contents by SHA-1; that it is weak matters little beside the release's own manifest.
        total = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        if isinstance(self.source, bytes):
            total.update(self.source)
        else:
            with self.source.open("rb") as file:
                while piece := file.read(1024**2):
                    total.update(piece)
        return total.hexdigest()


def local_files(folder: Path, manifest: Manifest) -> dict[str, LocalFile]:
    """The files of a verified release, its manifest and its signature among them, by name."""
    listed = {
        entry.name: LocalFile(entry.name, entry.size, entry.sha256, folder / entry.name) for entry in manifest.files
    }
    sidecars = {MANIFEST: bytes_file(MANIFEST, manifest.data)}
    if (folder / SIGNATURE).exists():
        sidecars[SIGNATURE] = bytes_file(SIGNATURE, read_file(folder / SIGNATURE, SIGNATURE_BYTES))
    return listed | sidecars


def bytes_file(name: str, data: bytes) -> LocalFile:
    """A file that is held in memory."""
    return LocalFile(name, len(data), hashlib.sha256(data).hexdigest(), data)


def read_tree(api: "HfApi", repository: str) -> dict[str, "RepoFile"]:
    """The files on a repository's main branch, by name.

    Raises:
        DataError: it has more files than any release.
        ConfigError, RefusedError, HubSilentError: as `explaining_hub`.
    """
    from huggingface_hub.hf_api import RepoFile

    found: dict[str, RepoFile] = {}
    with explaining_hub(repository):
        for entry in api.list_repo_tree(repository, recursive=True):
            if len(found) == OBJECTS:
                raise DataError(f"{repository} lists more than {OBJECTS:,} files: name another repository")
            if isinstance(entry, RepoFile):
                found[entry.path] = entry
    return found


def unlike(files: Iterable[LocalFile], tree: Mapping[str, "RepoFile"]) -> list[LocalFile]:
    """The files that the hub does not have, or has with another size or hash."""
    return [file for file in files if file.name not in tree or not is_same(file, tree[file.name])]


def is_same(file: LocalFile, entry: "RepoFile") -> bool:
    """Tell if the hub reports a file's size and hash: SHA-256 of a large file, git's of a small one."""
    if entry.lfs is not None:
        return entry.lfs.sha256 == file.sha256 and entry.lfs.size == file.size
    return entry.size == file.size and entry.blob_id == file.blob()
