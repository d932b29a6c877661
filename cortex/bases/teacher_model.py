"""The teacher of a run's distillation, as a folder of this machine, pinned and verified as the run's base is."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cortex.artifacts.artifact import Artifact, fetch
from cortex.artifacts.store import MissingObjectError
from cortex.bases.base_model import pinned_model, require_pinned
from cortex.bases.base_pin import TEACHER
from cortex.bases.base_rules import CONFIG
from cortex.errors import ConfigError, CortexError
from cortex.runs.context import RunContext, artifact_prefix, inputs_folder

RELEASED = "model"
"""The folder of a release that holds the weights in full."""


def teacher_artifact(context: RunContext) -> Artifact | None:
    """The teacher on this machine, verified, with the manifest that the run is pinned to; None without distillation.

    The artifact of a finished run is its whole release: `teacher_folder` has the weights.

    Raises:
        ConfigError: the teacher cannot be used, the hub refuses it, or its run is not finished.
        DataError: it is not the one that the run began with, or cannot be downloaded.
        RefusedError: the pin was replaced.
    """
    distill = context.profile.distill
    if distill is None:
        return None
    if TEACHER not in context.seen:
        teacher = distill.teacher
        with naming_the_teacher():
            context.seen[TEACHER] = (
                pinned_model(context, teacher.base, teacher.revision, TEACHER)
                if teacher.base
                else _released(context, str(teacher.run), teacher.name)
            )
    return context.seen[TEACHER]


def teacher_folder(context: RunContext) -> Path:
    """The folder of the teacher's weights; the profile has a `distill` section."""
    artifact, distill = teacher_artifact(context), context.profile.distill
    assert artifact and distill
    return artifact.path if distill.teacher.base else artifact.path / RELEASED


@contextmanager
def naming_the_teacher() -> Generator[None]:
    """Name the teacher's key in errors about it: the rules for bases speak of `model`."""
    try:
        yield
    except CortexError as error:
        words = str(error).replace("model.base", "distill.teacher.base")
        raise type(error)(words.replace("model.revision", "distill.teacher.revision")) from error


def _released(context: RunContext, run: str, what: str) -> Artifact:
    store = context.store
    try:
        release = fetch(store, artifact_prefix(run, "release"), inputs_folder(context.work))
    except MissingObjectError as error:
        raise ConfigError(f"{what}: {store.url} holds no release of it: finish that run, or name another") from error
    if not any(entry.name == f"{RELEASED}/{CONFIG}" for entry in release.manifest.files):
        raise ConfigError(f"{what}: its release holds no weights in full: name `model` in its export.release")
    require_pinned(context, release.manifest, what, TEACHER)
    return release
