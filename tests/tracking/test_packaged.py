"""Trackers with packages of their own, in each image that trains."""

import json
from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.fleet.preflight.tracking_check import locked_packages
from cortex.local.environments import IMAGES
from cortex.runs.pipeline import read_pipeline
from cortex.runs.stage_list import TRAINERS
from cortex.settings import Settings
from cortex.tracking.packaged import wandb_server
from cortex.tracking.tracker_needs import NEEDS
from cortex.tracking.trackers import KINDS
from tests.programs import in_image

PROGRAM = str(Path(__file__).with_name("draw_packaged.py"))
TRAINING_IMAGES = sorted({task.image for task in read_pipeline() if set(task.stages) & set(TRAINERS)})


def test_every_tracker_of_a_profile_can_be_drawn_by_every_image_that_trains() -> None:
    assert set(NEEDS) == set(KINDS)
    wanted = {needs.package for needs in NEEDS.values() if needs.package}
    for image in TRAINING_IMAGES:
        on_cpu = (IMAGES / image / "requirements.cpu.lock").read_text(encoding="utf-8")
        assert wanted <= locked_packages(image), image
        assert all(f"\n{package}==" in on_cpu for package in wanted), image


@pytest.mark.rehearsal
@pytest.mark.parametrize("image", TRAINING_IMAGES)
def test_trackio_goes_on_with_its_run_and_shows_answers_as_tables(image: str, tmp_path: Path) -> None:
    done = in_image(image, [PROGRAM, "trackio", str(tmp_path)], TRACKIO_DIR=str(tmp_path / "trackio"))
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    logged = told["logged"]
    assert [(entry["step"], entry["loss"]) for entry in logged] == [(step, 1 / step) for step in range(1, 9)]
    tables = {entry["step"]: entry["samples/train"]["_value"] for entry in logged if "samples/train" in entry}
    assert list(tables) == [3, 6] and [row["completion"] for row in tables[6]] == ["a\n0", "a\n1"]
    assert told["there"] == [8, -1], "a server says how far it has each run"


@pytest.mark.rehearsal
@pytest.mark.parametrize("image", TRAINING_IMAGES)
def test_wandb_keeps_a_run_with_its_tables_where_it_is_offline(image: str, tmp_path: Path) -> None:
    done = in_image(image, [PROGRAM, "wandb", str(tmp_path)], WANDB_MODE="offline", WANDB_PROJECT="")
    assert done.returncode == 0, done.stderr[-2000:]
    [run] = (tmp_path / "kept").rglob("*.wandb")
    tables = sorted((tmp_path / "kept").rglob("*.table.json"))
    assert run.name == "run-run-1-grpo.wandb" and len(tables) == 2
    first = json.loads(tables[0].read_text(encoding="utf-8"))
    assert first["columns"] == ["step", "prompt", "completion", "reward"] and len(first["data"]) == 2


def test_wandbs_key_goes_over_tls_or_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"WANDB_API_KEY": "hush"}
    assert wandb_server(key, Settings()) == "https://api.wandb.ai"
    assert wandb_server({"WANDB_BASE_URL": "http://localhost:8080/", **key}, Settings()) == "http://localhost:8080"
    elsewhere = {"WANDB_BASE_URL": "http://wandb.example", **key}
    with pytest.raises(ConfigError, match=r"WANDB_API_KEY would travel to http://wandb\.example over plain HTTP"):
        wandb_server(elsewhere, Settings())
    monkeypatch.setenv("CORTEX_TEACHER_PLAIN_HTTP", "1")
    assert wandb_server(elsewhere, Settings()) == "http://wandb.example"
