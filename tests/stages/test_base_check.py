"""`cortex run data` and `label` with a base that `sft` would refuse: refused before anything is paid for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from tests.conftest import Cortex
from tests.fleet.services import TRAINABLE, Hub
from tests.fleet.services import serving as serving_hub
from tests.teaching.endpoint import Teacher, right, serving

pytestmark = pytest.mark.integration

RUN = "run-1"


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with serving(Teacher()) as served:
        served.script = lambda prompt, nth: right(prompt)
        yield served


def begin(profile: Profile, store: Store, base: str) -> Profile:
    teacher = profile.teacher.model_dump() | {"examples": 20, "patience_seconds": 1.0}
    changed = Profile.model_validate(profile.model_dump() | {"model": {"base": base}, "teacher": teacher})
    create_run(store, RUN, changed)
    return changed


def test_a_base_folder_is_looked_at_by_the_run_s_first_stage(
    profile: Profile, store: Store, cortex: Cortex, teacher: Teacher, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    begin(profile, store, str(base))
    absent = cortex("run", "data", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url)
    assert absent.returncode == 78 and f"model.base {base}: there is no such folder" in absent.stderr
    base.mkdir()
    empty = cortex("run", "data", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url)
    assert empty.returncode == 78 and "holds no config.json" in empty.stderr
    assert not teacher.asked
    for name, data in TRAINABLE.items():
        (base / name).write_bytes(data)
    assert cortex("run", "data", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url).returncode == 0


def test_an_absent_folder_is_no_fault_only_on_a_rented_machine_that_does_not_load_it(
    profile: Profile, store: Store, cortex: Cortex, teacher: Teacher, tmp_path: Path
) -> None:
    begun = begin(profile, store, str(tmp_path / "base"))
    rented = {"CORTEX_TEACHER_URL": teacher.url, "CORTEX_PROFILE_DIGEST": begun.digest}
    together = cortex("run", "data", "label", "sft", "--run", RUN, **rented)
    assert together.returncode == 78 and "there is no such folder" in together.stderr and not teacher.asked
    apart = cortex("run", "data", "label", "--run", RUN, **rented)
    assert apart.returncode == 0 and "is not on this machine, so it was not looked at" in apart.stderr


def test_a_base_of_the_hub_is_looked_at_before_its_labels_are_paid_for(
    profile: Profile, store: Store, cortex: Cortex, teacher: Teacher
) -> None:
    begin(profile, store, "open/model")
    assert cortex("run", "data", "--run", RUN).returncode == 0
    with serving_hub(Hub(TRAINABLE | {"tokenizer_config.json": b'{"eos_token": "</s>"}'})) as url:
        unfit = cortex("run", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url, HF_ENDPOINT=url)
    assert unfit.returncode == 78 and "model.base open/model has no chat template" in unfit.stderr
    assert not teacher.asked
    silent = cortex("run", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url, HF_ENDPOINT="http://127.0.0.1:9")
    assert silent.returncode == 0 and "open/model was not looked at before its labels" in silent.stderr
    assert teacher.asked
