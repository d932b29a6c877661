"""Finished items of a running stage, from which another attempt goes on, on this machine or another.

A stage that takes hours without training makes a few large things one after another: merged weights, a quantized copy,
one model's answers. Each becomes an artifact of its own as soon as it is complete: on this disk by one rename, then in
the run's bucket, where every byte is read back before the manifest is written. So a lost machine costs at most the item
in the making. An item that does not verify, or was not made with this run's secret, is not used.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from loguru import logger

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.describe import CODE, without_code
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import MissingObjectError, Store, StoreError
from cortex.artifacts.verify import verify
from cortex.errors import DataError, VerificationError
from cortex.runs.context import RunContext

KIND = "item"

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}
"""Errors of file systems that cannot make a hard link here."""


class Items:
    """The items of one stage, by name. `inputs` are the digests of the artifacts that the stage reads."""

    def __init__(self, context: RunContext, stage: str, inputs: Mapping[str, str]) -> None:
        self.stage = stage
        self._context, self._inputs = context, dict(inputs)
        self._bucket = context.store
        self._local = (
            context.store
            if isinstance(context.store, FolderStore)
            else FolderStore(context.folder(stage) / "committed")
        )
        self._unsent: list[str] = []

    def make(self, name: str, fill: Callable[[Path], None]) -> Path:
        """The verified folder of an item, finished by an earlier attempt or written by `fill` now.

        `fill` gets an empty folder. Nobody may write into the folder that is returned.

        Raises:
            RefusedError: another process has taken the run over.
        """
        found = self._found(name)
        if found is None:
            aside = self._context.folder(self.stage) / "making" / name
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            fill(aside)
            self._publish(aside, self._local, name)
            found = self._local.local_path(self._key(name))
            self._unsent.append(name)
        else:
            print(f"{name}: kept from an earlier attempt", flush=True)
        self._send()
        return found

    def _found(self, name: str) -> Path | None:
        """A finished item on this machine, downloaded from the bucket if needed."""
        key, folder = self._key(name), self._local.local_path(self._key(name))
        if os.path.lexists(folder):
            fault = self._fault(folder, name)
            if fault is None:
                self._unsent.append(name)  # an earlier attempt may not have sent it
                return folder
            self._set_aside(self._local, name, fault)
        if not self._remote:
            return None
        try:
            manifest = find(self._bucket, key)
            if manifest is None:
                return None
            fault = self._not_ours(manifest, name)
            if fault is None:
                receive(self._bucket, key, manifest, folder)
                return folder
        except (VerificationError, MissingObjectError) as error:
            fault = str(error)
        self._set_aside(self._bucket, name, fault)
        return None

    def _send(self) -> None:
        """Send items that the bucket lacks. An outage does not end the stage: the next item's sending tries again."""
        while self._remote and self._unsent:
            name = self._unsent[0]
            folder = self._local.local_path(self._key(name))
            try:
                there = find(self._bucket, self._key(name))
                if there is None or there.digest != Manifest.read(folder).digest:
                    if there is not None:
                        self._set_aside(self._bucket, name, "it lies where a newer one belongs")
                    self._publish(folder, self._bucket, name)
            except (StoreError, VerificationError) as error:
                logger.warning(f"{self.stage}: {name} is on this machine alone until the bucket takes it: {error}")
                return
            self._unsent.pop(0)

    @property
    def _remote(self) -> bool:
        return self._local is not self._bucket

    def _fault(self, folder: Path, name: str) -> str | None:
        try:
            found = verify(folder)
        except (DataError, NotADirectoryError) as error:
            return str(error)
        return self._not_ours(found.manifest, name) if found.ok else str(found)

    def _not_ours(self, manifest: Manifest, name: str) -> str | None:
        """Reason why an item is not this stage's own: anybody with write access to the bucket may have put it there."""
        if not self._context.secret.verifies(manifest.meta.get(CODE), *self._words(without_code(manifest), name)):
            return "its code was not made with this run's secret, so this run did not write it"
        if (manifest.profile, manifest.inputs) != (self._context.profile.digest, self._inputs):
            return "it was made under another profile, or from other artifacts"
        return None

    def _words(self, manifest: Manifest, name: str) -> tuple[str, ...]:
        """The text that an item's authentication code covers: its files, its stage and its name."""
        return KIND, self.stage, name, manifest.digest

    def _publish(self, folder: Path, store: Store, name: str) -> None:
        publish(
            folder,
            store,
            self._key(name),
            kind=KIND,
            inputs=self._inputs,
            profile=self._context.profile.digest,
            lease=self._context.lease if store is self._bucket else None,
            code_of=lambda manifest: self._context.secret.code(*self._words(manifest, name)),
        )

    def _set_aside(self, store: Store, name: str, reason: str) -> None:
        """Remove an item that must not be used; from a bucket only its manifest, without which it does not exist."""
        self._context.lease.check()
        self._context.ledger.append("item_refused", stage=self.stage, item=name, reason=reason)
        print(f"{name}: made again, for {reason}", flush=True)
        if store is self._bucket:
            note = f"runs/{self._context.run}/{self.stage}/quarantine/{name}-{self._context.ledger.epoch}.json"
            store.put(note, json.dumps({"reason": reason}, indent=1).encode())
            store.delete(f"{self._key(name)}/{MANIFEST}")
        if store.local_path("") is not None:
            store.delete(self._key(name))

    def _key(self, name: str) -> str:
        return f"{_prefix(self._context, self.stage)}/{name}"


def discard_items(context: RunContext, stage: str) -> None:
    """Delete a stage's items from the bucket: the stage's artifact holds their content.

    Trainers' checkpoints, whose names are numbers, stay. Whatever cannot be deleted is left to the lifecycle rules.
    """
    prefix = _prefix(context, stage)
    try:
        for name in context.store.folders(prefix):
            if not name.isdecimal():
                context.store.delete(f"{prefix}/{name}/{MANIFEST}")  # without it there is no item
                context.store.delete(f"{prefix}/{name}")
    except StoreError as error:
        logger.warning(f"the items of {stage} stay in {context.store.url}/{prefix}: {error}")


def lay_out(item: Path, target: Path) -> None:
    """Put an item's files, without the manifest, into a folder: as hard links where the file system allows them."""
    for entry in Manifest.read(item).files:
        place = target / entry.name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(item / entry.name)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(item / entry.name, place)


def _prefix(context: RunContext, stage: str) -> str:
    """Key prefix of items: the only one under which a run's machines may delete."""
    return f"runs/{context.run}/{stage}/checkpoints"
