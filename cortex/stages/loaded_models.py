"""The models that a stage loads besides earlier stages' own: the run's base, and the teacher of its distillation."""

from collections.abc import Mapping

from cortex.artifacts.artifact import Artifact
from cortex.bases.base_model import base_artifact, require_trained_on
from cortex.bases.base_pin import KIND, TEACHER
from cortex.bases.teacher_model import teacher_artifact
from cortex.runs.context import RunContext
from cortex.runs.stage_list import LOADING


def loaded_models(context: RunContext, stage: str, made: Mapping[str, Artifact]) -> dict[str, str]:
    """The digests of the models that a stage loads, which are downloaded if needed; empty if it loads none.

    `made` are the artifacts of earlier stages that it reads.

    Raises:
        CortexError: as `base_artifact` and `teacher_artifact`.
        DataError: an earlier stage used another base.
    """
    base = base_artifact(context) if stage in LOADING else None
    if base:
        for name, artifact in made.items():
            require_trained_on(base, name, artifact.manifest)
    teacher = teacher_artifact(context) if stage == "distill" else None
    found = {KIND: base, TEACHER: teacher}
    return {kind: artifact.digest for kind, artifact in found.items() if artifact}
