"""The real pipeline made small: same images, stages and settings, machines for cents, and the check of the secret."""

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.errors import ConfigError
from cortex.fleet.tasks.run_tasks import resolve
from cortex.runs.pipeline import SKY_YAML, read_documents
from cortex.settings import Settings
from scripts.roadtest.pipeline import CHECK, DIGEST, DISK_GB, MAX_HOURLY_COST, SECRET, write_pipelines
from scripts.roadtest.prepare import PROFILE, load_profile

KEPT = ("name", "config")
RENTED = ("image_id", "use_spot", "job_recovery")


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path]:
    files = tmp_path / "pipeline.yaml", tmp_path / "wall.yaml"
    write_pipelines(SKY_YAML, *files)
    return files


def tasks(path: Path) -> list[dict[str, Any]]:
    return [document for document in read_documents(path) if "run" in document]


def test_all_that_is_not_size_is_as_in_the_real_pipeline(written: tuple[Path, Path]) -> None:
    for real, small in zip(tasks(SKY_YAML), tasks(written[0]), strict=True):
        assert [small[key] for key in KEPT] == [real[key] for key in KEPT]
        assert [small["resources"][key] for key in RENTED] == [real["resources"][key] for key in RENTED]
        assert small["run"] == f"{CHECK}\n{real['run']}"
        assert small["secrets"] == {**(real.get("secrets") or {}), SECRET: ""}
    assert [task["name"] for task in tasks(written[1])] == [tasks(SKY_YAML)[0]["name"]]


def test_no_machine_costs_more_than_cents_and_none_has_more_than_one_gpu(written: tuple[Path, Path]) -> None:
    settings = Settings(bucket="s3://somewhere", home=written[0].parent)
    resolved = resolve(load_profile(str(PROFILE)), "r", pipeline=written[0], settings=settings)
    for task in resolved:
        resources = task["resources"]
        assert resources["max_hourly_cost"] <= MAX_HOURLY_COST and resources.get("disk_size", 0) <= DISK_GB
        assert "memory" not in resources, "a small machine has little"
        kinds = [entry.get("accelerators", "L4:1") for entry in resources.get("ordered", [resources])]
        assert set(kinds) <= {"L4:1", "A10G:1"}, kinds
    assert [task["resources"]["ordered"][0] for task in resolved if "ordered" in task["resources"]] == [
        {"infra": "aws", "accelerators": "L4:1"}
    ] * 4


@pytest.mark.parametrize(("arrived", "code"), [("the secret itself", 0), ("", 78), ("another", 78)])
def test_a_task_begins_only_with_the_secret_and_never_prints_it(arrived: str, code: int) -> None:
    given = {SECRET: arrived, DIGEST: hashlib.sha256(b"the secret itself").hexdigest(), "PATH": os.defpath}
    done = subprocess.run(
        ["sh", "-c", f"{CHECK}\necho begun"], env=given, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, "begun" in done.stdout) == (code, code == 0)
    assert not arrived or arrived not in done.stdout + done.stderr


def test_a_pipeline_of_ones_own_gets_no_dear_machine_either(tmp_path: Path) -> None:
    dear = {"infra": "aws", "instance_type": "p5.48xlarge", "accelerators": "H100:8", "image_id": "docker:cortex-sft"}
    source, target = tmp_path / "mine.yaml", tmp_path / "small.yaml"
    plain = {"name": "data", "resources": {"instance_type": "u-24tb1.metal"}, "run": "cortex run data"}
    chain = [plain, {"name": "sft", "resources": dear, "run": "cortex run sft"}]
    source.write_text(yaml.safe_dump_all(chain), encoding="utf-8")
    write_pipelines(source, target, tmp_path / "wall.yaml")
    data, sft = (task["resources"] for task in tasks(target))
    assert data["max_hourly_cost"] == sft["max_hourly_cost"] == MAX_HOURLY_COST
    assert sft["ordered"][0] == {"infra": "aws", "accelerators": "L4:1"} and "instance_type" not in sft


def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text(yaml.safe_dump({"name": "empty"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="has no task with a `run`"):
        write_pipelines(tmp_path / "none.yaml", tmp_path / "a.yaml", tmp_path / "b.yaml")
