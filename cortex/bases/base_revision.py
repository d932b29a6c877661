"""The manifest of a hub's model at one commit: the files that are loaded, and the SHA-256 that each must have.

The hub lists a hash for every file: the SHA-256 of files in Git LFS, which are the weights, and Git's own id for the
others. The others are small, so they are read, compared with their id, and hashed.
"""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.store import Store
from cortex.bases.base_folder import is_folder
from cortex.bases.base_pin import KIND, find_pin
from cortex.bases.base_rules import INDEX, READ, BaseFiles, needed_files
from cortex.bases.hub import HubSilentError, check_name, explaining_refusals
from cortex.errors import ConfigError
from cortex.limits import MIB, read_file
from cortex.profiles.profile_sections import Model
from cortex.runs.run_secret import RunSecret

if TYPE_CHECKING:
    from huggingface_hub import HfApi, RepoFile

_SMALL_BYTES = 16 * MIB
"""Most bytes that are read of a file that is not in Git LFS; the hub puts files over 10 MB into LFS."""


def read_revision(base: str, revision: str | None, environment: Mapping[str, str], seconds: float = 30.0) -> Manifest:
    """The manifest of a copy of a model at a commit, by default the main branch's newest.

    `seconds` is the timeout of each request.

    Raises:
        ConfigError: there is no such model or commit, HF_TOKEN gives no access to it, or it cannot be loaded.
        HubSilentError: the hub does not answer, or the answer is not a hub's.
    """
    from huggingface_hub import HfApi, RepoFile
    from huggingface_hub.utils.tqdm import disable_progress_bars

    check_name(base)
    disable_progress_bars()
    # `False`, since with `None` the client would use a token from this disk, which the run's machines do not have.
    api = HfApi(endpoint=environment.get("HF_ENDPOINT") or None, token=environment.get("HF_TOKEN") or False)
    with explaining_refusals(base, revision, token=bool(environment.get("HF_TOKEN"))):
        commit = api.model_info(base, revision=revision, timeout=seconds).sha
        if commit is None or (revision and commit != revision):
            raise HubSilentError(f"{api.endpoint} answers for {base} with the commit {commit}, not {revision or 'one'}")
        tree = api.list_repo_tree(base, revision=commit, recursive=True)
        files = {file.path: file for file in tree if isinstance(file, RepoFile)}
        with tempfile.TemporaryDirectory() as scratch:
            reader = _Reader(api, base, commit, Path(scratch), seconds)
            index = {INDEX: reader.read(files[INDEX])} if INDEX in files else {}
            names = needed_files(BaseFiles(base, frozenset(files), index))
            entries = [reader.entry(files[name]) for name in names]
    return Manifest(kind=KIND, files=tuple(entries), meta={"base": base, "revision": commit})


def pin_now(store: Store, secret: RunSecret, model: Model, environment: Mapping[str, str]) -> Manifest | None:
    """The pin of a run's base, or a new one for a launch to bind. None for a base that is not a hub's, and if the hub
    does not answer: then the first task that loads the base pins it.

    Raises:
        ConfigError: as `read_revision`.
        RefusedError: the run has a pin that was not made with its secret.
    """
    if model.base is None or is_folder(model.base):
        return None
    pinned = find_pin(store, secret)
    if pinned:
        return pinned
    try:
        return read_revision(model.base, model.revision, environment)
    except HubSilentError as error:
        logger.warning(f"{error}: the first task that loads {model.base} will choose its revision")
        return None


class _Reader:
    """Reads the small files of one commit."""

    def __init__(self, api: "HfApi", base: str, commit: str, folder: Path, seconds: float) -> None:
        self._api, self._base, self._commit, self._folder, self._seconds = api, base, commit, folder, seconds
        self._download: Callable[..., object] = api.hf_hub_download  # pyright: ignore[reportUnknownMemberType]

    def entry(self, file: "RepoFile") -> FileEntry:
        """A file's entry in the manifest."""
        if file.lfs:
            return FileEntry(name=file.path, size=file.lfs.size, sha256=file.lfs.sha256)
        data = self.read(file)
        return FileEntry(name=file.path, size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def read(self, file: "RepoFile") -> bytes:
        """A file's bytes, verified against the commit's tree.

        Raises:
            ConfigError: the file is larger than its limit.
            HubSilentError: the hub gives other bytes than its tree says.
        """
        limit = READ.get(file.path, _SMALL_BYTES)
        if file.size > limit:
            raise ConfigError(f"model.base {self._base}: {file.path!a} has {file.size:,} bytes, of {limit:,} at most")
        self._download(self._base, file.path, revision=self._commit, local_dir=self._folder, etag_timeout=self._seconds)
        data = read_file(self._folder / file.path, limit)
        right = hashlib.sha256(data).hexdigest() == file.lfs.sha256 if file.lfs else _git_id(data) == file.blob_id
        if not right:
            raise HubSilentError(f"{self._api.endpoint} gives other bytes of {self._base}/{file.path} than it lists")
        return data


def _git_id(data: bytes) -> str:
    """Git's id of a file's content: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
