"""The verb `plan`, as a program: its table, its JSON, and how it refuses."""

import json
from pathlib import Path

import pytest
import yaml

from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import Architecture
from cortex.fleet.capacity.plan import plan_capacity
from cortex.runs.base_config import base_config
from cortex.runs.profile import PROFILES, Profile, load_profile
from cortex.settings import Settings
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

PARAMETERS = {"cortex-8b": 8_030_261_248, "cortex-70b": 70_553_706_496}
"""As the hub's own pages say."""


def changed(tmp_path: Path, **sections: object) -> Path:
    """A copy of cortex-8b with other sections."""
    profile = yaml.safe_load((PROFILES / "cortex-8b.yaml").read_text(encoding="utf-8"))
    for name, values in sections.items():
        profile[name] = {**profile[name], **values} if isinstance(values, dict) else values
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_shape_of_a_shipped_base_has_as_many_parameters_as_the_model(name: str) -> None:
    shape = Architecture.of(base_config(load_profile(name).model, {}), name)
    assert shape.parameters == PARAMETERS[name]


def test_a_plan_is_a_table_and_json(cortex: Cortex, tmp_path: Path) -> None:
    done = cortex("plan", "cortex-8b", "--closed", COLUMNS="160")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < 40, "more than a screen"
    for word in ("sft", "rollout", "quantize w4", "evaluate", "closed form", "measured on a GPU"):
        assert word in done.stdout
    # Without an environment to trace in, nothing is made unasked.
    done = cortex("plan", "cortex-8b", "--json")
    found = json.loads(done.stdout)
    assert (found["basis"], found["misfits"]) == ("closed form", [])
    assert {phase["stage"] for phase in found["phases"]} == {"sft", "dpo", "grpo", "export", "evaluate"}
    assert not (tmp_path / "home" / "environments").exists()


def test_what_does_not_fit_is_told_in_the_table_and_refused(cortex: Cortex, tmp_path: Path) -> None:
    path = changed(tmp_path, sft={"micro_batch_size": 32, "gradient_accumulation": 1})
    done = cortex("plan", path, "--closed")
    assert done.returncode == 78
    assert "DOES NOT FIT: sft, step" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: cortex-8b does not fit on H100: sft, step: needs ")
    assert "set sft.micro_batch_size to 16, and sft.gradient_accumulation to 2" in done.stderr


def test_options_that_contradict_each_other_and_a_base_that_nobody_knows_are_refused(
    cortex: Cortex, tmp_path: Path
) -> None:
    assert cortex("plan", "cortex-8b", "--closed", "--trace").returncode == 2
    path = changed(tmp_path, model={"base": "nobody/knows"})
    done = cortex("plan", path, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 78 and "Traceback" not in done.stderr
    assert "put its config.json into jobs/shapes/nobody--knows/" in done.stderr


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "gpt2", "n_embd": 768}, "says nothing of hidden_size, intermediate_size"),
        ({"hidden_size": "wide"}, "says hidden_size 'wide', which none can have"),
        ({"hidden_size": True}, "says hidden_size True, which none can have"),
        ({"num_hidden_layers": -3}, "says num_hidden_layers -3, which none can have"),
        ({"num_hidden_layers": 10**12}, "says num_hidden_layers 1000000000000, which none can have"),
        ({"vocab_size": 1e400}, "says vocab_size inf, which none can have"),
        ({"model_type": 5}, "says model_type 5, which none can have"),
        ({"num_attention_heads": 8192}, "says 8192 heads of a width of 4096"),
        ({"num_attention_heads": 0}, "says nothing of num_attention_heads"),
    ],
)
def test_a_configuration_without_sizes_is_refused(config: dict[str, object], words: str, tmp_path: Path) -> None:
    whole = base_config(load_profile("cortex-8b").model, {})
    given = config if "n_embd" in config else {**whole, "head_dim": None, **config}
    (tmp_path / "config.json").write_text(json.dumps(given), encoding="utf-8")
    profile: Profile = load_profile("cortex-8b", {"model.base": str(tmp_path)})
    with pytest.raises(ConfigError, match=words):
        plan_capacity(profile, Settings(), tracing="never")
