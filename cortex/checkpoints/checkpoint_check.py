"""Reasons not to resume from a checkpoint: damage, missing files, or another writer than this run."""

from pathlib import Path

from cortex.artifacts.describe import CODE, without_code
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.verify import verify
from cortex.checkpoints.completeness import lacking
from cortex.checkpoints.pickles import check_metadata
from cortex.errors import DataError, VerificationError
from cortex.runs.context import RunContext

KIND = "checkpoint"


class CheckpointCheck:
    """The checks of one stage's checkpoints."""

    def __init__(self, context: RunContext, stage: str) -> None:
        self._context, self._stage = context, stage

    def find_fault(self, folder: Path, step: int) -> str | None:
        """Reason not to resume from a committed checkpoint; None for a sound one."""
        try:
            found = verify(folder)
        except (DataError, NotADirectoryError) as error:
            return str(error)
        if not found.ok:
            return str(found)
        return self.find_stranger(found.manifest, step) or self.find_defect(folder, step)

    def find_defect(self, folder: Path, step: int) -> str | None:
        """Reason why a checkpoint whose bytes verify cannot be resumed from, or None."""
        missing = lacking(folder, step, self._context.profile.hardware.processes)
        if missing:
            return f"it lacks {', '.join(missing)}"
        try:
            for metadata in folder.rglob(".metadata"):
                check_metadata(metadata)
        except VerificationError as error:
            return str(error)
        return None

    def find_stranger(self, manifest: Manifest, step: int) -> str | None:
        meta = manifest.meta
        expected = (self._context.run, self._stage, step)
        if (meta.get("run"), meta.get("stage"), meta.get("step")) != expected:
            return f"it belongs to run {meta.get('run')}, stage {meta.get('stage')}, step {meta.get('step')}"
        if manifest.profile != self._context.profile.digest:
            return "it was made under another profile"
        if not self._context.secret.verifies(meta.get(CODE), *self.words(without_code(manifest), step)):
            return "its code was not made with this run's secret, so this run did not write it"
        return None

    def words(self, manifest: Manifest, step: int) -> tuple[str, ...]:
        """The text that a checkpoint's authentication code covers: its files, its stage and its step."""
        return KIND, self._stage, str(step), manifest.digest
