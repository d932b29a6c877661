"""Weights that a machine cannot run are refused before anything is started or listened at."""

import json
from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.serving import vllm_command
from cortex.serving.vllm_command import refuse_unfit


def weights(folder: Path, config: object) -> Path:
    made = folder / "gptq-w4"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(config))
    return made


def test_a_quantized_copy_needs_a_gpu_or_avx_512(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = weights(tmp_path, {"quantization_config": {"quant_method": "compressed-tensors"}})
    processor = tmp_path / "cpuinfo"
    monkeypatch.setattr(vllm_command, "_PROCESSOR", processor)
    processor.write_text("flags\t\t: fpu avx2\n")
    with pytest.raises(ConfigError, match=r"gptq-w4 is quantized .* lacks avx512bw, avx512f, avx512vl"):
        refuse_unfit(copy, gpus=0)
    refuse_unfit(copy, gpus=1)
    processor.write_text("flags\t\t: fpu avx2 avx512f avx512bw avx512vl\n")
    refuse_unfit(copy, gpus=0)


def test_full_weights_run_anywhere(tmp_path: Path) -> None:
    refuse_unfit(weights(tmp_path, {"model_type": "llama"}), gpus=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"adapter_config.json": "{}"}, "holds an adapter alone: serve it by a routes file, or the copy `model`"),
        ({}, "holds no config.json"),
        ({"config.json": "{"}, "is no JSON: download the release again"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        refuse_unfit(tmp_path, gpus=0)
