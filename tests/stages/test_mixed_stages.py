"""`mixing` through the stages `data` and `label`: the teacher is asked about the mix, and about nothing else."""

import json
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split, read_training
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

RUN = "mixed"


def test_labels_are_of_the_mix(cortex: Cortex, tmp_path: Path) -> None:
    values = {
        "domain.source.chains": 2,
        "domain.source.days": 500,
        "domain.mixing": {"half_life_days": 60.0, "shares": {"volatility": {"low": 0, "middle": 1, "high": 1}}},
    }
    home = tmp_path / "home"
    create_run(open_store(str(home / "bucket")), RUN, load_profile("rehearsal", values))
    said = cortex("run", "data", "--run", RUN)
    assert said.returncode == 0 and "mix of markets: " in said.stderr and "% -> 0.0%, middle" in said.stderr, (
        said.stderr
    )
    assert cortex("run", "label", "--run", RUN).returncode == 0
    data, labels = (home / "bucket" / "runs" / RUN / stage / "artifact" for stage in ("data", "label"))
    asked = {
        json.loads(line)["example_id"]
        for file in labels.glob("*ed.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    assert asked == set(read_training(data)["id"]) and len(asked) < 0.5 * len(read_split(data, "train"))
    shown = cortex("dataset", "show", data)
    assert "mix of markets: " in shown.stdout and "effective sample size" in shown.stdout
