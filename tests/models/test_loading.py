"""Models held for reading: their memory is free again, however they were spread and whoever still names them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent

WEIGHTS = 1_500_000
"""Bytes, a little fewer than those of the smallest model."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    done = in_image("quantize", [str(HERE / "hold_models.py"), str(tmp_path_factory.mktemp("models"))])
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.rehearsal
@pytest.mark.parametrize("case", ["released", "failed", "adapter", "merged"])
def test_a_held_model_gives_its_memory_back(cases: dict[str, dict[str, Any]], case: str) -> None:
    assert cases[case]["held"] > WEIGHTS
    assert cases[case]["left"] < WEIGHTS / 100
    assert not cases[case].get("weight lives")


@pytest.mark.rehearsal
def test_what_is_held_is_what_was_asked_for(cases: dict[str, dict[str, Any]]) -> None:
    assert cases["released"]["kept"] == cases["merged"]["kept"] == "LlamaForCausalLM"
    assert cases["adapter"]["kept"] == "PeftModelForCausalLM"
    assert cases["failed"]["reason"] == "out of luck"


@pytest.mark.rehearsal
def test_deleting_a_spread_model_frees_nothing(cases: dict[str, dict[str, Any]]) -> None:
    """It is the reason for `loaded`: otherwise these tests would prove nothing."""
    assert cases["deleted"]["weight lives"]
    assert cases["deleted"]["left"] > WEIGHTS


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    done = in_image("quantize", [str(HERE / "spread_models.py"), str(tmp_path_factory.mktemp("spread"))])
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.rehearsal
@pytest.mark.parametrize(
    ("case", "kind"),
    [("weights", "LlamaForCausalLM"), ("adapter", "PeftModelForCausalLM"), ("copy", "LlamaForCausalLM")],
)
def test_what_is_larger_than_the_gpu_stays_on_the_host_and_computes_the_same(
    spread: dict[str, dict[str, Any]], case: str, kind: str
) -> None:
    assert spread[case]["places"].keys() == {"0", "cpu"}  # not the disk, for which there is no folder
    assert spread[case]["difference"] == 0
    assert spread[case]["kind"] == kind
