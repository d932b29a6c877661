"""An adapter that does not belong to a base is told by the files alone."""

from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.models.adapter_fit import adapter_rank, require_fit, tensor_shapes
from tests.models.adapter_files import LAYER, write_adapter, write_base, write_tensors


def test_an_adapter_of_the_base_fits(tmp_path: Path) -> None:
    base, adapter = write_base(tmp_path / "base"), write_adapter(tmp_path / "adapter", rank=3)
    require_fit(adapter, base)
    assert adapter_rank(adapter) == 3
    assert tensor_shapes(base / "model.safetensors")["model.norm.weight"] == (8,)


def test_names_of_layers_may_begin_otherwise_in_a_model_s_files(tmp_path: Path) -> None:
    base, adapter = write_base(tmp_path / "base"), write_adapter(tmp_path / "adapter")
    names = {f"language_model.{LAYER.format(letter)}.weight": (rows, 8) for letter, rows in (("q", 8), ("v", 4))}
    write_tensors(base / "model.safetensors", names)
    require_fit(adapter, base)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is not LORA: serve the copy `model`"),
        ({"use_dora": True}, "use_dora is set, so it is more than LoRA: serve the copy `model`"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern is set"),
        ({"bias": "all"}, "bias is set"),
        ({"r": 0}, "r is 0, which is no rank"),
        ({"r": "2"}, "r is '2', which is no rank"),
    ],
)
def test_more_or_less_than_lora_is_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    adapter = write_adapter(tmp_path / "adapter", **config)
    with pytest.raises(ConfigError, match=f"adapter_config.json: {message}"):
        adapter_rank(adapter)


def test_another_rank_than_stated_or_another_base_is_refused(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    with pytest.raises(ConfigError, match=r"q_proj.lora_A.weight is 2 by 8, where rank 2 .* needs 2 by 6: name the"):
        other = write_base(tmp_path / "other", "other")
        write_tensors(other / "model.safetensors", {f"{LAYER.format('q')}.weight": (8, 6)})
        require_fit(write_adapter(tmp_path / "wide"), other)
    with pytest.raises(ConfigError, match=r"v_proj.lora_B.weight is 5 by 2, where rank 2 .* needs 4 by 2"):
        require_fit(write_adapter(tmp_path / "narrow", narrow=5), base)
    wrong = write_adapter(tmp_path / "rank")
    text = (wrong / "adapter_config.json").read_text().replace('"r": 2', '"r": 4')
    (wrong / "adapter_config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"q_proj.lora_A.weight is 2 by 8, where rank 4 .* needs 4 by 8"):
        require_fit(wrong, base)
    write_tensors(base / "model.safetensors", {"model.norm.weight": (8,)})
    with pytest.raises(ConfigError, match=r"has no layer model.layers.0.self_attn.q_proj: name the base"):
        require_fit(write_adapter(tmp_path / "lost"), base)


def test_of_a_quantized_base_names_and_ranks_are_compared(tmp_path: Path) -> None:
    base, adapter = write_base(tmp_path / "base"), write_adapter(tmp_path / "adapter")
    (base / "config.json").write_text('{"quantization_config": {"quant_method": "gptq"}}')
    packed = {f"{LAYER.format(letter)}.qweight": (1, 8) for letter in "qv"}
    write_tensors(base / "model.safetensors", packed)
    require_fit(adapter, base)
    text = (adapter / "adapter_config.json").read_text().replace('"r": 2', '"r": 4')
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(ConfigError, match="needs 4 by 8"):
        require_fit(adapter, base)


@pytest.mark.parametrize("data", [b"", b"\x02", (2).to_bytes(8, "little") + b"[]", (2**62).to_bytes(8, "little")])
def test_a_file_without_tensors_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ConfigError, match=r"model.safetensors is no safetensors file"):
        tensor_shapes(tmp_path / "model.safetensors")


def test_matrices_of_another_kind_are_refused(tmp_path: Path) -> None:
    base, adapter = write_base(tmp_path / "base"), write_adapter(tmp_path / "adapter")
    write_tensors(adapter / "adapter_model.safetensors", {"base_model.model.lm_head.weight": (8, 8)})
    with pytest.raises(ConfigError, match=r"lm_head.weight is no matrix of LoRA"):
        require_fit(adapter, base)
