from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.local.environments import cpu_lock
from cortex.profiles.profile_file import load_profile
from cortex.runs.pipeline import Task, read_pipeline
from cortex.runs.stage_list import STAGES, find_stage

IMAGE = "resources: {image_id: docker:cortex-data}"


def test_the_shipped_pipeline_runs_every_stage_once_after_its_inputs() -> None:
    stages = [stage for task in read_pipeline() for stage in task.stages]
    assert sorted(stages) == sorted(STAGES)
    for dpo in ({"learning_rate": 1e-5, "max_steps": 1, "save_steps": 1}, None):
        profile = load_profile("rehearsal", {"dpo": dpo})
        for stage in stages:
            assert set(find_stage(stage).inputs(profile)) <= set(stages[: stages.index(stage)])
    assert all(cpu_lock(task.image).is_file() for task in read_pipeline())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no task with a `run`"),
        ("name: cortex\n", "has no task with a `run`"),
        ("a: [", "is not YAML"),
        ("just words\n", "'just words' is not a task"),
        ("- 1\n", "is not a task"),
        ("name: a\nrun: cortex run data\n", r"task 'a': resources\.image_id is not docker:<registry>/cortex-<image>"),
        ("name: a\nresources:\nrun: cortex run data\n", r"task 'a': resources\.image_id"),
        ("name: a\nresources: [1]\nrun: cortex run data\n", r"task 'a': resources\.image_id"),
        ("name: a\nresources: {image_id: ubuntu}\nrun: cortex run data\n", r"task 'a': resources\.image_id"),
        (f"name: a\n{IMAGE}\nrun: echo hi\n", "task 'a': `run` is not `cortex run STAGE...` but 'echo hi'"),
        (f"name: a\n{IMAGE}\nrun: cortex run\n", "task 'a': `run` is not"),
        (f"name: a\n{IMAGE}\nrun:\n", "task 'a': `run` is not"),
        (f"name: a\n{IMAGE}\nrun: [cortex, run, data]\n", "task 'a': `run` is not"),
        (f"name: a\n{IMAGE}\nrun: cortex run 'data\n", "task 'a': `run` cannot be split into words: No closing quot"),
    ],
)
def test_a_file_that_is_no_pipeline_names_the_task_and_the_fix(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sky.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as raised:
        read_pipeline(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_pipeline(tmp_path / "sky.yaml")
    (tmp_path / "sky.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_pipeline(tmp_path / "sky.yaml")


@pytest.mark.parametrize("image", ["docker:cortex-data", "docker:r.example:5000/team/cortex-data:v1@sha256:00"])
def test_an_image_is_known_by_its_name_in_any_registry(image: str, tmp_path: Path) -> None:
    path = tmp_path / "sky.yaml"
    path.write_text(f"name: a\nresources: {{image_id: '{image}'}}\nrun: cortex run data label  # both\n")
    assert read_pipeline(path) == [Task("a", "data", ("data", "label"))]
