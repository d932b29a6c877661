from pathlib import Path
from typing import Any

import pytest

from cortex.drill.stand_in import Trainer, find_trainer, stand_in
from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import grpo_arguments
from tests.grpo_section import grpo_of

SHIPPED = sorted(path.stem for path in PROFILES.glob("*.yaml"))
TRAINERS: list[Trainer] = ["sft", "grpo"]
TRAINED = [(name, stage) for name in SHIPPED for stage in TRAINERS if getattr(load_profile(name), stage)]
"""Each shipped profile with each of its trainings that can be drilled."""

KEPT = ("learning_rate", "scheduler", "weight_decay", "max_grad_norm", "keep_checkpoints")
KEPT_OF: dict[Trainer, tuple[str, ...]] = {
    "sft": ("optimizer",),
    "grpo": (*("group_size", "iterations", "temperature", "top_p", "beta", "loss", "scale_rewards"),),
}


@pytest.mark.parametrize(("name", "stage"), TRAINED)
def test_a_shipped_profile_keeps_its_trainers_settings(name: str, stage: Trainer, tmp_path: Path) -> None:
    profile = load_profile(name)
    small = stand_in(profile, stage, tmp_path / "base")
    for key in (*KEPT, *KEPT_OF[stage]):
        wanted = getattr(getattr(profile, stage), key)
        if wanted == "paged_adamw_8bit":  # of a GPU: the stand-in says that it has another
            assert any("adamw_torch, not paged_adamw_8bit" in difference for difference in small.differs)
            continue
        assert getattr(small.section, key) == wanted, key
    assert small.profile.domain.weights() == profile.domain.weights()
    assert (small.profile.model.adapter is None) == (profile.model.adapter is None)
    if profile.model.adapter:
        assert small.profile.model.adapter == profile.model.adapter.model_copy(update={"kind": "lora"})
    assert (small.profile.hardware.device, small.profile.hardware.gpus) == ("cpu", 1)


@pytest.mark.parametrize(("name", "stage"), TRAINED)
def test_its_saves_leave_an_older_one_and_a_step_after_the_last(name: str, stage: Trainer, tmp_path: Path) -> None:
    small = stand_in(load_profile(name), stage, tmp_path)
    section = small.section
    assert 0 < small.older < small.newest < small.reached < section.max_steps
    assert section.max_steps % section.save_steps == 1
    assert small.reached + 1 <= section.max_steps


def test_what_a_cpu_cannot_keep_is_said(tmp_path: Path) -> None:
    small = stand_in(load_profile("cortex-70b"), "grpo", tmp_path)
    assert any("qlora" in text for text in small.differs)
    assert any("vLLM" in text for text in small.differs)
    assert any("not 8" in text for text in small.differs)
    assert grpo_of(small.profile).vllm is None
    assert not stand_in(load_profile("rehearsal"), "grpo", tmp_path).differs


def test_a_gpu_optimizer_and_gpu_keys_are_replaced(tmp_path: Path) -> None:
    profile = load_profile(
        "rehearsal",
        {"sft.optimizer": "adamw_8bit", "sft.axolotl": {"flash_attention": True, "neftune_noise_alpha": 5}},
    )
    small = stand_in(profile, "sft", tmp_path)
    assert small.profile.sft.optimizer == "adamw_torch"
    assert small.profile.sft.axolotl == {"neftune_noise_alpha": 5}
    assert [text for text in small.differs if "adamw_8bit" in text]
    assert [text for text in small.differs if "flash_attention" in text]


def test_keys_of_trl_for_gpus_are_replaced(tmp_path: Path) -> None:
    further = {"optim": "adamw_bnb_8bit", "tf32": True, "epsilon_high": 0.28}
    small = stand_in(load_profile("rehearsal", {"grpo.trl": further}), "grpo", tmp_path)
    assert grpo_of(small.profile).trl == {"epsilon_high": 0.28}
    assert [text for text in small.differs if "optim, tf32" in text]


def test_a_profile_without_grpo_has_an_sft_to_drill(tmp_path: Path) -> None:
    profile = load_profile("rehearsal", {"grpo": None})
    assert stand_in(profile, "sft", tmp_path).profile.grpo is None
    with pytest.raises(ConfigError, match="profile rehearsal has no grpo section to drill"):
        stand_in(profile, "grpo", tmp_path)


def test_rollouts_that_several_steps_share_are_kept_together(tmp_path: Path) -> None:
    profile = load_profile("rehearsal", {"grpo.iterations": 3, "grpo.save_steps": 9})
    small = stand_in(profile, "grpo", tmp_path)
    assert grpo_of(small.profile).iterations == 3
    assert small.section.save_steps % 3 == 0
    assert grpo_of(small.profile).micro_batch_size % grpo_of(small.profile).group_size == 0

    generated = {"grpo.trl": {"steps_per_generation": 3}, "grpo.save_steps": 9}
    assert stand_in(load_profile("rehearsal", generated), "grpo", tmp_path).section.save_steps % 3 == 0


def test_the_trainers_are_given_what_the_profile_says(tmp_path: Path) -> None:
    profile = load_profile("cortex-8b")
    sft, grpo = stand_in(profile, "sft", tmp_path), stand_in(profile, "grpo", tmp_path)
    config = axolotl_config(sft.profile, str(tmp_path), tmp_path, tmp_path, tmp_path, None)
    theirs = axolotl_config(profile, "base", tmp_path, tmp_path, tmp_path, None)
    assert _some(config, "optimizer", "lr_scheduler", "adapter", "lora_r", "lora_alpha") == _some(
        theirs, "optimizer", "lr_scheduler", "adapter", "lora_r", "lora_alpha"
    )
    arguments, whole = grpo_arguments(grpo.profile, tmp_path), grpo_arguments(profile, tmp_path)
    keys = ("num_generations", "num_iterations", "lr_scheduler_type", "loss_type", "scale_rewards", "beta")
    assert _some(arguments, *keys) == _some(whole, *keys)
    assert arguments["use_vllm"] is False


def test_only_trainers_with_a_drill_are_taken() -> None:
    assert find_trainer("sft") == "sft"
    with pytest.raises(UsageError, match="no trainer 'gpro' to drill: did you mean 'grpo'"):
        find_trainer("gpro")


def _some(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys}
