"""The verb `plan`, as a program: its table, its JSON, and how it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.bases.base_config import base_config
from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import Architecture
from cortex.fleet.capacity.capacity_plan import plan_capacity
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.settings import Settings
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

PARAMETERS = {"cortex-8b": 8_030_261_248, "cortex-70b": 70_553_706_496}
"""Counts from the hub's own pages."""


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
    # No environment to trace in exists, and none is made unasked.
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


OTHER_KINDS: dict[str, tuple[dict[str, object] | str, str]] = {
    "no JSON": ('{"hidden_size": ', "is no model's configuration"),
    "no object": ("[]", "holds no JSON object: copy it again"),
    "a size is missing": ({"intermediate_size": None}, "says nothing of intermediate_size: name a dense decoder"),
    "an encoder": (
        {"architectures": ["BertForMaskedLM"], "model_type": "bert"},
        "says architectures ['BertForMaskedLM']",
    ),
    "a classifier": ({"architectures": ["LlamaForSequenceClassification"]}, "that is no causal language model"),
    "an encoder and a decoder": (
        {"model_type": "t5", "architectures": None, "is_encoder_decoder": True},
        "says is_enc",
    ),
    "pictures": ({"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {}}, "no causal language model"),
    "experts": (
        {"model_type": "mixtral", "num_local_experts": 8},
        "says num_local_experts 8: memory and time of a mix",
    ),
    "experts by layers": ({"model_type": "ernie4_5_moe", "moe_num_experts": [64, 64]}, "says moe_num_experts [64, 64]"),
    "latent attention": ({"model_type": "minicpm3", "kv_lora_rank": 256}, "says kv_lora_rank 256: memory and time of"),
    "a state space": (
        {"model_type": "falcon_h1", "mamba_d_ssm": 1024},
        "says mamba_d_ssm 1024: memory and time of such",
    ),
    "linear attention": ({"model_type": "lfm2", "layer_types": ["conv", "full_attention"]}, "says layer_types 'conv'"),
}


@pytest.mark.parametrize("case", OTHER_KINDS)
def test_a_base_of_another_kind_is_refused_in_one_line_with_its_key(case: str, cortex: Cortex, tmp_path: Path) -> None:
    given, words = OTHER_KINDS[case]
    whole = base_config(load_profile("cortex-8b").model, {})
    text = given if isinstance(given, str) else json.dumps(whole | given)
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    done = cortex("plan", changed(tmp_path, model={"base": str(tmp_path)}), "--closed")
    assert (done.returncode, done.stdout) == (78, "")
    assert words in done.stderr and f"{tmp_path}" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("family", ["fancy", "starcoder2"])
def test_a_family_that_is_not_known_is_counted_as_llama_and_the_plan_says_so(
    family: str, cortex: Cortex, tmp_path: Path
) -> None:
    whole = base_config(load_profile("cortex-8b").model, {})
    (tmp_path / "config.json").write_text(
        json.dumps(whole | {"model_type": family, "architectures": [f"{family.title()}ForCausalLM"]}), encoding="utf-8"
    )
    done = cortex("plan", changed(tmp_path, model={"base": str(tmp_path)}), "--closed", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["parameters"] == PARAMETERS["cortex-8b"]
    assert f"model_type '{family}' (config.json) is counted as Llama of these sizes" in " ".join(found["notes"])


@pytest.mark.parametrize(("given", "tied"), [({}, True), ({"tie_word_embeddings": False}, False)])
def test_a_head_is_the_embedding_where_the_family_says_so_and_the_file_does_not(
    given: dict[str, Any], tied: bool
) -> None:
    whole = base_config(load_profile("cortex-8b").model, {})
    bare = {key: value for key, value in whole.items() if key != "tie_word_embeddings"}
    assert Architecture.of(bare | {"model_type": "gemma2"} | given, "here").tied is tied
    assert Architecture.of(bare, "here").tied is False


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
