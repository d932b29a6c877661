"""DeepSpeed's ZeRO-3 in place of FSDP2: the trainers' settings, and when its checkpoint is whole."""

from pathlib import Path
from typing import Any

import pytest

from cortex.checkpoints.completeness import STATE, lacking
from cortex.checkpoints.trainer_command import distributed
from cortex.errors import ConfigError
from cortex.profiles.profile_file import load_profile
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import grpo_arguments

RANKS = 2


def both(**hardware: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    profile = load_profile("cortex-8b-full", {f"hardware.{name}": value for name, value in hardware.items()})
    paths = Path("/set"), Path("/out"), Path("/ready")
    return axolotl_config(profile, "/base", *paths, None), grpo_arguments(profile, Path("/out"))


def test_the_trainers_shard_by_one_of_the_two() -> None:
    for told in both(sharding="zero3"):
        assert told["deepspeed"]["zero_optimization"]["stage"] == 3
        assert not any(name.startswith("fsdp") for name in told)
    for told in both():
        assert "deepspeed" not in told
        assert told["fsdp_config"]
    for told in both(sharding="zero3", gpus=1):
        assert "deepspeed" not in told


def test_a_save_of_zero3_holds_the_weights() -> None:
    """DeepSpeed gathers the weights only if told to; otherwise the Trainer saves a model without weights."""
    for told in both(sharding="zero3"):
        assert told["deepspeed"]["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True


def test_an_image_without_deepspeed_says_what_to_add() -> None:
    with pytest.raises(ConfigError, match=r"DeepSpeed is not in this image: add `deepspeed<0.19` to images/sft"):
        distributed(load_profile("cortex-8b-full", {"hardware.sharding": "zero3"}), "module")
    assert distributed(load_profile("cortex-8b", {"hardware.sharding": "zero3"}), "module")[1:] == ["-m", "module"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The files of a Hugging Face checkpoint of two ranks under DeepSpeed."""
    shards = tmp_path / "global_step6"
    shards.mkdir()
    for rank in range(RANKS):
        (tmp_path / f"rng_state_{rank}.pth").write_bytes(b"r")
        (shards / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt").write_bytes(b"m")
        (shards / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt").write_bytes(b"o")
    for name in ("model.safetensors", "scheduler.pt", "latest"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / STATE).write_text('{"global_step": 6}', encoding="utf-8")
    return tmp_path


def test_a_checkpoint_of_zero3_has_two_files_of_each_rank(saved: Path) -> None:
    assert lacking(saved, 6, RANKS) == []


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("global_step6/bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt", "zero_pp_rank_1_mp_rank_00_optim_states.pt"),
        ("global_step6/zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_model_states.pt"),
        ("latest", "latest"),
        ("rng_state_1.pth", "rng_state_1.pth"),
    ],
)
def test_without_one_of_them_it_is_none(saved: Path, lost: str, named: str) -> None:
    (saved / lost).unlink()
    assert lacking(saved, 6, RANKS) == [named]
