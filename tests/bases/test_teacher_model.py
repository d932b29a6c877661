"""The teacher of a run's distillation: found where the profile says, pinned, and never another afterwards."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.bases.base_pin import TEACHER, find_pin
from cortex.bases.teacher_model import teacher_artifact, teacher_folder
from cortex.errors import ConfigError, DataError
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from tests.checkpoints.conftest import context_of
from tests.fleet.services import TRAINABLE

STEPS = {"learning_rate": 1e-4, "max_steps": 20, "save_steps": 5}


def taught(store: Store, work: Path, teacher: Mapping[str, str], run: str = "run-1") -> RunContext:
    profile = load_profile("rehearsal", {"distill": {"teacher": dict(teacher), **STEPS}})
    return context_of(store, profile, work, run)


def write_model(folder: Path, weights: bytes) -> Path:
    folder.mkdir(parents=True)
    for name, data in (TRAINABLE | {"model.safetensors": weights}).items():
        (folder / name).write_bytes(data)
    return folder


def release(store: Store, run: str, folder: Path) -> None:
    publish(folder, store, f"runs/{run}/release", kind="release", code="", keep=True)


def test_a_teacher_in_a_folder_is_pinned_beside_the_base(store: Store, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "larger", b"weights")
    context = taught(store, tmp_path / "first", {"base": str(folder)})
    artifact = teacher_artifact(context)
    assert artifact and teacher_folder(context) == folder
    pin = find_pin(store, context.secret, TEACHER)
    assert pin and pin.digest == artifact.digest and find_pin(store, context.secret) is None
    (folder / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(
        DataError, match=re.escape(f"distill.teacher.base {folder} is not the model that run run-1 began")
    ):
        teacher_artifact(taught(store, tmp_path / "second", {"base": str(folder)}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"distill\.teacher\.base .* holds no model\.safetensors"):
        teacher_artifact(taught(store, tmp_path / "third", {"base": str(folder)}))


def test_a_finished_run_teaches_by_the_weights_of_its_release(store: Store, tmp_path: Path) -> None:
    write_model(tmp_path / "made" / "model", b"weights")
    release(store, "larger", tmp_path / "made")
    context = taught(store, tmp_path / "work", {"run": "larger"})
    assert (teacher_folder(context) / "model.safetensors").read_bytes() == b"weights"
    artifact, pin = teacher_artifact(context), find_pin(store, context.secret, TEACHER)
    assert artifact and pin and pin.digest == artifact.digest


def test_a_run_without_a_release_or_without_whole_weights_teaches_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"distill\.teacher\.run nobody: .* holds no release of it: finish that run"):
        teacher_artifact(taught(store, tmp_path / "first", {"run": "nobody"}))
    write_model(tmp_path / "made" / "gptq-w4", b"weights")
    release(store, "larger", tmp_path / "made")
    with pytest.raises(ConfigError, match=r"run larger: its release holds no weights in full: name `model` in its"):
        teacher_artifact(taught(store, tmp_path / "second", {"run": "larger"}, "run-2"))


def test_a_run_that_distills_nothing_has_no_teacher(store: Store, tmp_path: Path) -> None:
    assert teacher_artifact(context_of(store, load_profile("rehearsal"), tmp_path / "work")) is None
