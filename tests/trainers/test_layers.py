"""Layers that are sharded one by one, for more families than Llama."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cortex.errors import ConfigError
from cortex.trainers.layers import name_layers_to_shard
from tests.programs import in_image

HERE = Path(__file__).parent


class Layer:
    pass


class Embedding:
    pass


def model(named: "list[str] | None") -> SimpleNamespace:
    return SimpleNamespace(modules=lambda: [Embedding(), Layer(), Layer()], _no_split_modules=named)


def test_classes_that_the_model_has_not_are_left_out() -> None:
    found = model(["Layer", "VisionLayer"])
    assert name_layers_to_shard(found) == ["Layer"]
    assert found._no_split_modules == {"Layer"}


@pytest.mark.parametrize("named", [None, [], ["VisionLayer"]])
def test_a_model_without_any_is_refused(named: "list[str] | None") -> None:
    with pytest.raises(ConfigError, match="does not say which layers can be sharded"):
        name_layers_to_shard(model(named))


@pytest.mark.rehearsal
def test_every_family_is_sharded_layer_by_layer() -> None:
    done = in_image("grpo", [str(HERE / "shard_architectures.py")])
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() >= {"gemma3_text", "llama", "mistral", "mixtral", "phi3", "qwen3"}
    layers = [f"base_model.model.model.layers.{layer}" for layer in range(3)]
    for family, one in found.items():
        assert [name for name in one["modules"] if name.split(".")[-1].isdecimal()] == layers, family
    assert found["qwen3"]["classes"] == ["Qwen3DecoderLayer"]
