"""The checkpoints of one stage: committed by one rename, and resumed from only when every byte of one is right.

A trainer saves into a folder of its own. What it has saved is hashed and becomes an artifact on this machine, then in
the run's bucket; what does not verify is put aside, with the reason in the ledger, and nothing resumes from it.
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
from cortex.artifacts.describe import CODE, without_code
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import MissingObjectError, Store
from cortex.artifacts.verify import verify
from cortex.errors import DataError, VerificationError
from cortex.limits import MANIFEST_BYTES, TooLargeError
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader
from cortex.training.completeness import lacking
from cortex.training.pickles import check_metadata

KIND = "checkpoint"


@dataclass(frozen=True)
class Committed:
    """One whole checkpoint, as its manifest tells it."""

    step: int
    manifest: Manifest

    @property
    def score(self) -> float | None:
        """What the best has most of, by its validation; None where there was none."""
        score = self.manifest.meta.get("score")
        return float(score) if isinstance(score, int | float) else None


class Checkpoints:
    """What a stage under way has saved, on this disk and in the bucket. A bucket that is a folder is both at once."""

    def __init__(self, context: RunContext, stage: str, *, keep: int) -> None:
        self.stage = stage
        self.keep = keep
        self.resumed: int | None = None
        """The step of the checkpoint that was found to resume from."""
        self.saving = context.folder(stage) / "trainer"
        """Where the trainer saves: its `output_dir`. What lies there was never committed."""
        self._context = context
        self._bucket = context.store
        self._local = (
            context.store
            if isinstance(context.store, FolderStore)
            else FolderStore(context.folder(stage) / "committed")
        )
        self._prefix = f"runs/{context.run}/{stage}/checkpoints"

    @property
    def remote(self) -> bool:
        """Whether a commit on this machine still has to be sent somewhere."""
        return self._local is not self._bucket

    def choose(self) -> Path | None:
        """The checkpoint to resume from, on this machine: `newest`; of several machines, the one that the first chose.

        Raises:
            StoreError: the bucket does not answer.
            DataError: the first node's choice is not to be had here.
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
                    self.upload(self.resumed)  # an earlier attempt's on this disk may never have been sent
                leader.resume(self.resumed, Manifest.read(self._local.local_path(self._key(self.resumed))).digest)
                return newest
            case Follower() as follower:
                self._discard_unfinished()
                chosen = follower.resumed()
                return None if chosen.step is None else self._adopt(chosen.step, chosen.digest)

    def _adopt(self, step: int, digest: str | None) -> Path:
        """The first node's choice, verified on this machine too. Nothing is quarantined here: that is for the first."""
        folder = self._local.local_path(self._key(step))
        if self.remote and (not folder.exists() or self._fault(folder, step) or Manifest.read(folder).digest != digest):
            self._local.delete(self._key(step))
            manifest = find(self._bucket, self._key(step))
            if manifest is None or manifest.digest != digest:
                raise DataError(f"checkpoint-{step}, which node 0 goes on from, is not in the bucket as node 0 has it")
            receive(self._bucket, self._key(step), manifest, folder)
        fault = self._fault(folder, step)
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
        """Where this machine's committed checkpoints lie, each in a folder that its step names."""
        return self._local.local_path(self._prefix)

    def bring_best(self) -> None:
        """Have the best checkpoint up to the one that is resumed from on this machine, verified; or the next best.

        Each better one that does not verify is quarantined. Without one that was validated there is nothing to bring.
        Of several machines the first alone does so: it hands it out when the training ends.

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
        """Make what the trainer saved in `folder` a checkpoint that can be resumed from, and take the folder over.

        Raises:
            DataError: it is not all there.
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
            StoreError, VerificationError: the bucket did not take it as it is.
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
        """Delete from this machine all but the newest few, the best, and the steps that are spared."""
        self._prune(self._local, spared)

    def prune_bucket(self) -> None:
        """Delete from the bucket all but the newest few and the best."""
        self._prune(self._bucket, ())

    def _prune(self, store: Store, spared: Container[int | None]) -> None:
        whole = list(self._committed(store))
        best = max((one for one in whole if one.score is not None), key=lambda one: one.score or 0.0, default=None)
        for one in whole[: -self.keep]:
            if one is not best and one.step not in spared:
                # Without its manifest it does not exist, however far the deletion comes.
                store.delete(f"{self._key(one.step)}/{MANIFEST}")
                store.delete(self._key(one.step))

    def _committed(self, store: Store) -> Iterator[Committed]:
        for step in sorted(self._steps(store)):
            with suppress(VerificationError):  # a damaged one is for `newest` to quarantine
                manifest = find(store, self._key(step))
                # A forged one must not count among the newest, or as the best: it would push out the run's own.
                if manifest is not None and self._not_ours(manifest, step) is None:
                    yield Committed(step, manifest)

    def _trusted(self, step: int) -> bool:
        """Whether this step can be resumed from, brought from the bucket if need be."""
        folder = self._local.local_path(self._key(step))
        if folder.exists():
            fault = self._fault(folder, step)
            if fault is None:
                return True
            self._quarantine(self._local, step, fault)
        if not self.remote:
            return False
        try:
            manifest = find(self._bucket, self._key(step))
            if manifest is None:
                return False  # its upload never ended
            fault = self._not_ours(manifest, step)
            if fault is None:
                receive(self._bucket, self._key(step), manifest, folder)
                fault = self._unfit(folder, step)
                if fault is None:
                    return True
                self._quarantine(self._local, step, fault)
        except (VerificationError, MissingObjectError) as error:
            fault = str(error)
        self._quarantine(self._bucket, step, fault)
        return False

    def _fault(self, folder: Path, step: int) -> str | None:
        """Why a committed checkpoint is not to be resumed from."""
        try:
            found = verify(folder)
        except (DataError, NotADirectoryError) as error:
            return str(error)
        if not found.ok:
            return str(found)
        return self._not_ours(found.manifest, step) or self._unfit(folder, step)

    def _unfit(self, folder: Path, step: int) -> str | None:
        """Why a checkpoint whose bytes are right cannot be continued from."""
        missing = lacking(folder, step, self._context.profile.hardware.processes)
        if missing:
            return f"it lacks {', '.join(missing)}"
        try:
            for metadata in folder.rglob(".metadata"):
                check_metadata(metadata)
        except VerificationError as error:
            return str(error)
        return None

    def _not_ours(self, manifest: Manifest, step: int) -> str | None:
        meta = manifest.meta
        expected = (self._context.run, self.stage, step)
        if (meta.get("run"), meta.get("stage"), meta.get("step")) != expected:
            return f"it belongs to run {meta.get('run')}, stage {meta.get('stage')}, step {meta.get('step')}"
        if manifest.profile != self._context.profile.digest:
            return "it was made under another profile"
        if not self._context.secret.made(meta.get(CODE), *self._words(without_code(manifest), step)):
            return "its code was not made with this run's secret, so this run did not write it"
        return None

    def _words(self, manifest: Manifest, step: int) -> tuple[str, ...]:
        """What the code of a checkpoint covers: all that is in it, and that it is this step of this stage."""
        return KIND, self.stage, str(step), manifest.digest

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
            code_of=lambda manifest: self._context.secret.code(*self._words(manifest, step)),
        )

    def _quarantine(self, store: Store, step: int, reason: str) -> None:
        """Put a checkpoint where nothing resumes from it; in a bucket only its manifest, without which it is none."""
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
        """A manifest that is put aside; None where it is larger than any of ours."""
        try:
            return store.get(key, MANIFEST_BYTES).decode(errors="replace")
        except TooLargeError:
            return None

    def _discard_unfinished(self) -> None:
        """Remove what an earlier attempt saved and did not live to commit: nothing tells whether it is whole."""
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
