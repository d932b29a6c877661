"""`cortex data export` of a run, as Hugging Face `datasets` of the trainers' environment loads it, offline."""

import json
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split, read_training
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from tests.conftest import Cortex
from tests.programs import in_image

pytestmark = pytest.mark.rehearsal

PROGRAM = Path(__file__).with_name("load_exported.py")


def test_datasets_loads_what_was_exported(cortex: Cortex, tmp_path: Path) -> None:
    values = {"domain.source.chains": 2, "domain.source.days": 500, "domain.mixing": {"half_life_days": 90.0}}
    create_run(open_store(str(tmp_path / "home" / "bucket")), "shared", load_profile("rehearsal", values))
    assert cortex("run", "data", "--run", "shared").returncode == 0
    done = cortex("data", "export", "shared", "--to", tmp_path / "out", "--license", "cc-by-4.0")
    assert done.returncode == 0 and "README.md before you share it" in done.stdout, done.stderr
    loaded = in_image("grpo", [str(PROGRAM), str(tmp_path / "out"), str(tmp_path / "cache")])
    assert loaded.returncode == 0, loaded.stderr[-2000:]
    found = json.loads(loaded.stdout.splitlines()[-1])
    data = tmp_path / "home" / "bucket" / "runs" / "shared" / "data" / "artifact"
    train, drawn, test = read_split(data, "train"), read_training(data), read_split(data, "test")
    held_out = {"validation": len(read_split(data, "validation")), "test": len(test)}
    assert found["sizes"] == {
        "default": {"train": len(drawn), **held_out},
        "unmixed": {"train": len(train), **held_out},
    }
    assert found["ids"] == drawn["id"].to_list() and list(found["features"]) == test.columns
    assert found["features"]["messages"] == "List({'role': Value('string'), 'content': Value('string')})"
    assert found["features"]["at"] == "Value('timestamp[us, tz=UTC]')"
    assert found["row"]["id"] == test["id"][0] and found["row"]["truth"] == test["truth"][0]
