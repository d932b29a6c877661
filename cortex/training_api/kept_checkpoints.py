"""Checkpoints of a Tinker service in the bucket: each an artifact, published before its client is answered."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loguru import logger
from pydantic import JsonValue, TypeAdapter, ValidationError

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.file_names import TINKER
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import MissingObjectError, Store
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, VerificationError

KIND = "tinker-checkpoint"
DATA = "checkpoint"
"""Name, in the artifact, of the file or folder that the server wrote."""

Purpose = Literal["training", "sampler"]
"""A checkpoint to train on from, with the optimizer's moments; or weights alone, to sample from."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that a client asked for, with what is needed to load it into another server."""

    model: str
    """The server's id of the model that was trained."""
    purpose: Purpose
    name: str
    base: str
    """The base model, as the client names it."""
    lora: Mapping[str, JsonValue]
    """The adapter's settings, as the server keeps them."""


class KeptCheckpoints:
    """The checkpoints of one service in a store."""

    def __init__(self, store: Store, service: str, scratch: Path) -> None:
        """`scratch` is a folder on the disk that holds the server's own checkpoints.

        Raises:
            ConfigError: the service's name is not one word.
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", service):
            raise ConfigError(f"a service's name has lower-case letters, digits and hyphens alone, not {service!r}")
        self._store, self._prefix, self._scratch = store, f"{TINKER}/{service}", scratch

    def keep(self, checkpoint: Checkpoint, written: Path) -> None:
        """Publish a checkpoint, a file or a folder; a bucket's copy is read back first. It stays where it is.

        Raises:
            RefusedError: other bytes are kept under its name.
            StoreError: the bucket did not take it for as long as its patience lasts.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            _copy(written, folder / DATA)  # since a folder store takes what it publishes
            publish(folder, self._store, self._key(checkpoint), kind=KIND, meta={"checkpoint": _written(checkpoint)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def restore(self, checkpoint: Checkpoint, target: Path) -> None:
        """Bring a checkpoint to `target`, every byte of it verified.

        Raises:
            VerificationError: the bytes are not what its manifest says.
        """
        prefix = self._key(checkpoint)
        manifest = find(self._store, prefix)
        if manifest is None:
            raise MissingObjectError(f"{self._store.url}/{prefix} holds no complete checkpoint")
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = self._store.local_path(prefix)
        if folder is None:
            folder = self._scratch / manifest.digest
            receive(self._store, prefix, manifest, folder)
            (folder / DATA).rename(target)
            shutil.rmtree(folder)
        else:
            verify(folder, manifest).require()
            _copy(folder / DATA, target)

    def all(self) -> Iterator[Checkpoint]:
        """The complete checkpoints. One whose manifest is damaged is warned of, and left out."""
        for model in self._store.folders(self._prefix):
            for purpose in self._store.folders(f"{self._prefix}/{model}"):
                for name in self._store.folders(f"{self._prefix}/{model}/{purpose}"):
                    where = f"{self._prefix}/{model}/{purpose}/{name}"
                    try:
                        found = self._read(where)
                    except VerificationError as error:
                        logger.warning(f"{error}: this checkpoint is left out")
                        continue
                    if found is not None:
                        yield found

    def _read(self, prefix: str) -> Checkpoint | None:
        manifest = find(self._store, prefix)
        if manifest is None:
            return None  # its upload was cut off, and its client was never told that it is saved
        try:
            checkpoint = _CHECKPOINT.validate_python(manifest.meta.get("checkpoint"))
        except ValidationError as error:
            raise VerificationError(f"{self._store.url}/{prefix} is no checkpoint of a Tinker service") from error
        if self._key(checkpoint) != prefix:
            raise VerificationError(f"{self._store.url}/{prefix} says that it is {self._key(checkpoint)}")
        return checkpoint

    def _key(self, checkpoint: Checkpoint) -> str:
        return f"{self._prefix}/{checkpoint.model}/{checkpoint.purpose}/{checkpoint.name}"


_CHECKPOINT = TypeAdapter(Checkpoint)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def _written(checkpoint: Checkpoint) -> dict[str, JsonValue]:
    return _CHECKPOINT.dump_python(checkpoint, mode="json")
