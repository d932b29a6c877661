"""Checkpoints of one stage: committed by one rename, and resumed from only when every byte verifies.

A trainer saves into a folder of its own. The kit hashes what it saved and publishes it as an artifact on this machine,
then in the run's bucket. A checkpoint that does not verify is quarantined, with the reason in the ledger.
"""

import json
import shutil
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.code_version import code_version
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import MissingObjectError, Store
from cortex.checkpoints.checkpoint_check import KIND, CheckpointCheck
from cortex.checkpoints.completeness import lacking
from cortex.errors import DataError, VerificationError
from cortex.limits import MANIFEST_BYTES, TooLargeError
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader


@dataclass(frozen=True)
class Committed:
    """One complete checkpoint, as its manifest describes it."""

    step: int
    manifest: Manifest

    @property
    def score(self) -> float | None:
        """Validation score, the higher the better; None where nothing was validated."""
        score = self.manifest.meta.get("score")
        return float(score) if isinstance(score, int | float) else None


class Checkpoints:
    """Checkpoints of a running stage, on this disk and in the bucket: the same place where the bucket is a folder."""

    def __init__(self, context: RunContext, stage: str, *, keep: int) -> None:
        self.stage = stage
        self.keep = keep
        self.resumed: int | None = None
        """The step of the checkpoint that the training resumes from."""
        self.saving = context.folder(stage) / "trainer"
        """The trainer's `output_dir`. Checkpoints in it are not committed yet."""
        self._context = context
        self._check = CheckpointCheck(context, stage)
        self._bucket = context.store
        self._local = (
            context.store
            if isinstance(context.store, FolderStore)
            else FolderStore(context.folder(stage) / "committed")
        )
        self._prefix = f"runs/{context.run}/{stage}/checkpoints"

    @property
    def remote(self) -> bool:
        """True where a commit on this machine still has to be sent to the bucket."""
        return self._local is not self._bucket

    def choose(self) -> Path | None:
        """The checkpoint to resume from, on this machine: `newest`, or with several machines the first one's choice.

        Raises:
            StoreError: the bucket does not answer.
            DataError: the first node's choice is not available here.
        """
        match self._context.gang:
            case None:
                return self.newest()
            case Leader() as leader:
                newest = self.newest()
                if self.resumed is None:
                    leader.resume(None, None)
                    return None
                if self.remote:
                    self.upload(self.resumed)  # an earlier attempt may not have sent it
                leader.resume(self.resumed, Manifest.read(self._local.local_path(self._key(self.resumed))).digest)
                return newest
            case Follower() as follower:
                self._discard_unfinished()
                chosen = follower.await_checkpoint()
                return None if chosen.step is None else self._adopt(chosen.step, chosen.digest)

    def _adopt(self, step: int, digest: str | None) -> Path:
        """The first node's choice, verified on this machine too. Only the first node quarantines checkpoints."""
        folder = self._local.local_path(self._key(step))
        if self.remote and (
            not folder.exists() or self._check.find_fault(folder, step) or Manifest.read(folder).digest != digest
        ):
            self._local.delete(self._key(step))
            manifest = find(self._bucket, self._key(step))
            if manifest is None or manifest.digest != digest:
                raise DataError(f"checkpoint-{step}, which node 0 goes on from, is not in the bucket as node 0 has it")
            receive(self._bucket, self._key(step), manifest, folder)
        fault = self._check.find_fault(folder, step)
        if fault or Manifest.read(folder).digest != digest:
            raise DataError(f"checkpoint-{step} is not the one that node 0 goes on from: {fault or 'another manifest'}")
        self.resumed = step
        print(f"resuming from checkpoint-{step}", flush=True)
        return folder

    def newest(self) -> Path | None:
        """The newest checkpoint of this stage that verifies, on this machine; each newer one is quarantined.

        Raises:
            StoreError: the bucket does not answer.
        """
        self._discard_unfinished()
        for step in sorted({*self._steps(self._local), *self._steps(self._bucket)}, reverse=True):
            if self._trusted(step):
                self.resumed = step
                self._context.ledger.append("resumed", stage=self.stage, checkpoint=f"checkpoint-{step}")
                print(f"resuming from checkpoint-{step}", flush=True)
                return self._local.local_path(self._key(step))
        return None

    @property
    def committed(self) -> Path:
        """Folder of this machine's committed checkpoints, each in a folder named by its step."""
        return self._local.local_path(self._prefix)

    def bring_best(self) -> None:
        """Download and verify the best checkpoint up to the one to resume from; if it does not verify, the next best.

        Checkpoints that do not verify are quarantined. Without a validated checkpoint it does nothing. With several
        machines only the first does so, and sends it to the others when the training ends.

        Raises:
            StoreError: the bucket does not answer.
        """
        if isinstance(self._context.gang, Follower):
            return
        known = {one.step: one for store in (self._bucket, self._local) for one in self._committed(store)}
        validated = [one for one in known.values() if one.score is not None and one.step <= (self.resumed or 0)]
        for one in sorted(validated, key=lambda one: (-(one.score or 0.0), one.step)):
            if self._trusted(one.step):
                return

    def commit(self, folder: Path, step: int, ranks: int, score: float | None) -> None:
        """Publish what the trainer saved in `folder` as a checkpoint to resume from, moving the folder.

        Raises:
            DataError: files are missing.
            RefusedError: another process has taken the run over.
        """
        missing = lacking(folder, step, ranks)
        if missing:
            raise DataError(f"{folder} lacks {', '.join(missing)}: it cannot be continued from")
        lease = self._context.lease
        if self._local.local_path(self._key(step)).exists():
            lease.check()
            self._quarantine(self._local, step, "it lies where a newer one belongs")
        self._publish(folder, self._local, step, score, code_version())

    def upload(self, step: int) -> None:
        """Send a committed checkpoint to the bucket, and read it back.

        Raises:
            StoreError, VerificationError: the bucket did not store it unchanged.
            RefusedError: another process has taken the run over.
        """
        folder = self._local.local_path(self._key(step))
        manifest = Manifest.read(folder)
        there = find(self._bucket, self._key(step))
        if there is not None and there.digest != manifest.digest:
            self._context.lease.check()
            self._quarantine(self._bucket, step, "it lies where a newer one belongs")
        self._publish(folder, self._bucket, step, Committed(step, manifest).score, manifest.code)

    def prune(self, spared: Container[int | None] = ()) -> None:
        """Delete from this machine all but the newest few, the best, and the steps in `spared`."""
        self._prune(self._local, spared)

    def prune_bucket(self) -> None:
        """Delete from the bucket all but the newest few and the best."""
        self._prune(self._bucket, ())

    def _prune(self, store: Store, spared: Container[int | None]) -> None:
        whole = list(self._committed(store))
        best = max((one for one in whole if one.score is not None), key=lambda one: one.score or 0.0, default=None)
        for one in whole[: -self.keep]:
            if one is not best and one.step not in spared:
                # The manifest goes first: without it a half-deleted checkpoint does not exist.
                store.delete(f"{self._key(one.step)}/{MANIFEST}")
                store.delete(self._key(one.step))

    def _committed(self, store: Store) -> Iterator[Committed]:
        for step in sorted(self._steps(store)):
            with suppress(VerificationError):  # a damaged one is for `newest` to quarantine
                manifest = find(store, self._key(step))
                # A forged one must not count as newest or best: it would cause the run's own to be pruned.
                if manifest is not None and self._check.find_stranger(manifest, step) is None:
                    yield Committed(step, manifest)

    def _trusted(self, step: int) -> bool:
        """True where this step can be resumed from; downloads it from the bucket if needed."""
        folder = self._local.local_path(self._key(step))
        if folder.exists():
            fault = self._check.find_fault(folder, step)
            if fault is None:
                return True
            self._quarantine(self._local, step, fault)
        if not self.remote:
            return False
        try:
            manifest = find(self._bucket, self._key(step))
            if manifest is None:
                return False  # its upload never ended
            fault = self._check.find_stranger(manifest, step)
            if fault is None:
                receive(self._bucket, self._key(step), manifest, folder)
                fault = self._check.find_defect(folder, step)
                if fault is None:
                    return True
                self._quarantine(self._local, step, fault)
        except (VerificationError, MissingObjectError) as error:
            fault = str(error)
        self._quarantine(self._bucket, step, fault)
        return False

    def _publish(self, folder: Path, store: Store, step: int, score: float | None, code: str) -> None:
        meta: dict[str, JsonValue] = {"run": self._context.run, "stage": self.stage, "step": step}
        publish(
            folder,
            store,
            self._key(step),
            kind=KIND,
            code=code,
            profile=self._context.profile.digest,
            meta=meta if score is None else meta | {"score": score},
            lease=self._context.lease if store is self._bucket else None,
            code_of=lambda manifest: self._context.secret.code(*self._check.words(manifest, step)),
        )

    def _quarantine(self, store: Store, step: int, reason: str) -> None:
        """Move a checkpoint where nothing resumes from it; in a bucket only its manifest, which suffices."""
        key = f"runs/{self._context.run}/{self.stage}/quarantine"
        place = f"{key}/{step}-{self._context.ledger.epoch}-{len(store.list(key))}"
        path = store.local_path(self._key(step))
        if path is not None:
            aside = store.local_path(place)
            assert aside is not None
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.rename(aside)
        else:
            manifest = f"{self._key(step)}/{MANIFEST}"
            told = {"reason": reason, "manifest": self._text(store, manifest)}
            store.put(f"{place}.json", json.dumps(told, indent=1).encode())
            store.delete(manifest)
        self._context.ledger.append("checkpoint_quarantined", stage=self.stage, step=step, reason=reason)
        print(f"quarantined checkpoint-{step}: {reason}", flush=True)

    @staticmethod
    def _text(store: Store, key: str) -> str | None:
        """The text of a manifest to quarantine; None where it is larger than any of ours."""
        try:
            return store.get(key, MANIFEST_BYTES).decode(errors="replace")
        except TooLargeError:
            return None

    def _discard_unfinished(self) -> None:
        """Remove what an earlier attempt saved but did not commit: nothing shows that it is complete."""
        for path in sorted(self.saving.glob("checkpoint-*")):
            reason = f"{path.name}: its save was never committed"
            self._context.ledger.append("checkpoint_discarded", stage=self.stage, reason=reason)
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _steps(self, store: Store) -> set[int]:
        folder = store.local_path(self._prefix)
        if folder is not None:
            names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
        else:
            names = {entry.key.removeprefix(f"{self._prefix}/").split("/")[0] for entry in store.list(self._prefix)}
        return {int(name) for name in names if name.isdecimal() and str(int(name)) == name}

    def _key(self, step: int) -> str:
        return f"{self._prefix}/{step}"
