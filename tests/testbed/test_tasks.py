"""The pipeline of the images, on machines without images."""

from pathlib import Path

import yaml
from sky.utils import dag_utils

from cortex.runs.pipeline import SKY_YAML, read_pipeline
from tests.testbed.tasks import for_machines


def test_every_task_of_the_pipeline_can_run_on_a_bare_machine(tmp_path: Path) -> None:
    environments = {task.image: Path("/environments") / task.image for task in read_pipeline()}
    written = for_machines(SKY_YAML, tmp_path / "sky.yaml", environments)
    asked = {name for document in yaml.safe_load_all(SKY_YAML.read_text()) for name in document.get("envs", {})}
    given = [(name, "s3://b" if name == "CORTEX_BUCKET" else "1") for name in sorted(asked)]
    tasks = dag_utils.load_chain_dag_from_yaml(str(written), env_overrides=given).tasks
    for bare, task in zip(tasks, read_pipeline(), strict=True):
        assert all(resources.image_id is None for resources in bare.resources)
        assert f"PATH=/environments/{task.image}/bin:" in str(bare.run)
        assert str(bare.run).splitlines()[-1] == f"cortex run {' '.join(task.stages)}"


def test_what_names_no_image_of_ours_stays_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "task.yaml"
    source.write_text(yaml.safe_dump({"name": "a", "resources": {"image_id": "ami-1"}, "run": "true"}))
    written = for_machines(source, tmp_path / "out.yaml", {})
    assert yaml.safe_load(written.read_text()) == yaml.safe_load(source.read_text())
