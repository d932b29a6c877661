"""The runs that a rehearsal by distillation begins with."""

from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError
from cortex.local.teacher_runs import teachers_first
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run

TEACHER = "rehearsal-distillation-teacher"


def taught_by(run: str) -> Profile:
    return load_profile("rehearsal-distillation", {"distill.teacher": {"run": run}})


def test_a_teacher_is_rehearsed_by_the_profile_of_its_name_until_it_is_finished(tmp_path: Path) -> None:
    store, profile = open_store(str(tmp_path / "bucket")), load_profile("rehearsal-distillation")
    assert teachers_first(store, profile) == [(TEACHER, load_profile(TEACHER))]
    assert not teachers_first(store, load_profile(TEACHER))
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "weights").write_bytes(b"of the teacher")
    publish(tmp_path / "release", store, f"runs/{TEACHER}/release", kind="release", code="")
    assert not teachers_first(store, profile)


def test_a_teacher_that_was_begun_goes_on_by_its_own_profile_and_its_own_teacher_comes_first(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    begun = taught_by(TEACHER)
    create_run(store, "r1", begun, rehearsal=True)
    assert teachers_first(store, taught_by("r1")) == [(TEACHER, load_profile(TEACHER)), ("r1", begun)]


def test_a_run_that_nobody_knows_and_one_that_teaches_itself_are_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    with pytest.raises(
        ConfigError, match=r"distill\.teacher\.run nobody: .* holds no run of that id, and jobs/profiles/"
    ):
        teachers_first(store, taught_by("nobody"))
    create_run(store, "r1", taught_by("r1"), rehearsal=True)
    with pytest.raises(ConfigError, match=r"distill\.teacher\.run r1: the run would teach itself: name another"):
        teachers_first(store, taught_by("r1"))
