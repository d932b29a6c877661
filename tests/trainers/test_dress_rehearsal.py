"""Every shipped profile for GPUs at its base's true shape: the trainers' own classes, on tensors without data.

The ranks are one process: PyTorch's fake process group answers for the others. Not rehearsed here are values, kernels
of a GPU, and vLLM itself, which need data.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from cortex.bases.base_config import base_config
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.settings import CHECKOUT
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import dpo_arguments, grpo_arguments, lora_arguments
from tests.grpo_section import grpo_of
from tests.programs import in_image

HERE = Path(__file__).parent

pytestmark = pytest.mark.rehearsal

ON_GPUS = [
    profile
    for profile in (load_profile(path.stem) for path in sorted(PROFILES.glob("*.yaml")))
    if profile.hardware.device == "cuda"
]
PROFILES_FOR_GPUS = list({f"{profile.model} {profile.hardware}": profile for profile in reversed(ON_GPUS)}.values())
"""One profile of each model on each hardware: what a step, a save and a sync do is the same for the others."""
WITH_TRL = [
    *(pytest.param(profile, "grpo", id=f"{profile.name}-grpo") for profile in PROFILES_FOR_GPUS if profile.grpo),
    # Where all weights train, DPO loads its reference from the model's folder, and here are no weights to load.
    *(
        pytest.param(profile, "dpo", id=f"{profile.name}-dpo")
        for profile in PROFILES_FOR_GPUS
        if profile.dpo and profile.model.adapter
    ),
]


def weights(config: dict[str, Any]) -> dict[str, list[int]]:
    """The tensors of a Llama of this shape, as its checkpoint names them."""
    hidden, inner, words = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    layer = {
        "self_attn.q_proj": [queries, hidden],
        "self_attn.k_proj": [keys, hidden],
        "self_attn.v_proj": [keys, hidden],
        "self_attn.o_proj": [hidden, queries],
        "mlp.gate_proj": [inner, hidden],
        "mlp.up_proj": [inner, hidden],
        "mlp.down_proj": [hidden, inner],
        "input_layernorm": [hidden],
        "post_attention_layernorm": [hidden],
    }
    ends = {"model.embed_tokens": [words, hidden], "model.norm": [hidden], "lm_head": [words, hidden]}
    if config.get("tie_word_embeddings"):
        del ends["lm_head"]  # it is the embedding
    layers = range(config["num_hidden_layers"])
    inside = {f"model.layers.{at}.{name}": shape for at in layers for name, shape in layer.items()}
    return {f"{name}.weight": shape for name, shape in (ends | inside).items()}


def adapters(whole: dict[str, list[int]], r: int) -> dict[str, list[int]]:
    """The tensors of an adapter on all of its linear layers but the head, as PEFT names them."""
    found: dict[str, list[int]] = {}
    for name, shape in whole.items():
        if "_proj" in name:
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            found[f"{stem}.lora_A.default.weight"] = [r, shape[1]]
            found[f"{stem}.lora_B.default.weight"] = [shape[0], r]
    return found


def share(whole: list[int], ranks: int) -> list[int]:
    """Shape of the first rank's shard of a tensor."""
    return [math.ceil(whole[0] / ranks), *whole[1:]]


def check_layout(found: dict[str, Any], config: dict[str, Any], profile: Profile, ranks: int) -> None:
    """Each layer a shard of its own; each tensor split over all ranks; what trains, and in which type."""
    prefix = "base_model.model." if profile.model.adapter else ""
    layers = {f"{prefix}model.layers.{layer}" for layer in range(config["num_hidden_layers"])}
    assert {name for name in found["sharded"] if name.split(".")[-1].isdecimal()} == (layers if ranks > 1 else set())
    trained = {name: one for name, one in found["parameters"].items() if one["trains"]}
    if profile.model.adapter:
        assert {name: one["whole"] for name, one in trained.items()} == adapters(
            weights(config), profile.model.adapter.r
        )
    else:
        assert {name: one["whole"] for name, one in trained.items()} == weights(config)
    assert {one["dtype"] for one in trained.values()} == {"torch.float32"}
    for name, one in found["parameters"].items():
        assert one["held"] == share(one["whole"], ranks), name


@pytest.mark.parametrize(("profile", "stage"), WITH_TRL)
def test_a_step_a_save_and_a_sync_of_trl(profile: Profile, stage: str) -> None:
    config, adapter = base_config(profile.model, {}), profile.model.adapter
    ranks = profile.hardware.gpus
    section, arguments = (
        (profile.dpo, dpo_arguments(profile, Path("/out")))
        if stage == "dpo"
        else (profile.grpo, grpo_arguments(profile, Path("/out")))
    )
    assert section is not None
    vllm = grpo_of(profile).vllm if stage == "grpo" else None
    given = {
        "stage": stage,
        "config": config,
        "adapter": lora_arguments(adapter) if adapter else None,
        "arguments": arguments,
        "ranks": ranks,
        "rows": section.micro_batch_size * (2 if stage == "dpo" else 1),
        "tokens": (vllm and vllm.max_model_length) or profile.sft.sequence_length,
        "scored": profile.answer_tokens,
    }
    found = rehearsed("grpo", "dress_trl.py", given)
    check_layout(found, config, profile, ranks)
    trained = sorted(name for name, one in found["parameters"].items() if one["trains"])
    assert found["step"] == trained
    assert found["saved"] == {
        name.replace(".default.", "."): [found["parameters"][name]["whole"], found["parameters"][name]["dtype"]]
        for name in trained
    }
    if vllm:
        # Weights that train are held in float32; vLLM rounds what it takes in.
        dtype = "torch.bfloat16" if adapter else "torch.float32"
        assert found["sent"] == {name: [shape, dtype] for name, shape in weights(config).items()}


@pytest.mark.parametrize("profile", PROFILES_FOR_GPUS, ids=lambda profile: profile.name)
def test_what_axolotl_shards_and_trains(profile: Profile) -> None:
    config, adapter = base_config(profile.model, {}), profile.model.adapter
    axolotl = axolotl_config(profile, profile.model.base or "", Path("/set"), Path("/out"), Path("/ready"), None)
    shapes = {
        "ranks": profile.hardware.gpus,
        "rows": profile.sft.micro_batch_size,
        "tokens": profile.sft.sequence_length,
    }
    found = rehearsed("sft", "dress_axolotl.py", {"config": config, "axolotl": axolotl, **shapes})
    check_layout(found, config, profile, profile.hardware.gpus)
    assert not found["kernels"]
    assert found["workers"] == 0
    packed = {name: one["whole"] for name, one in found["parameters"].items() if one["packed"]}
    if adapter and adapter.kind == "qlora":
        linear = {name: shape for name, shape in weights(config).items() if "_proj" in name}
        assert len(packed) == len(linear)
        assert sum(shape[0] for shape in packed.values()) * 4 == sum(
            rows * columns for rows, columns in linear.values()
        )
    else:
        assert not packed
    if found["step"] is not None:
        assert found["step"] == sorted(name for name, one in found["parameters"].items() if one["trains"])


def rehearsed(image: str, program: str, given: dict[str, Any]) -> dict[str, Any]:
    paths = os.pathsep.join([str(CHECKOUT), str(HERE / "stand_in")])
    done = in_image(image, [str(HERE / program)], json.dumps(given), ACCELERATE_USE_CPU="true", PYTHONPATH=paths)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
