import re
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.profiles.trl_passthrough import TrlStage, refused_trl_keys, trl_keys
from cortex.trainers.trl_config import dpo_arguments, grpo_arguments
from tests.grpo_section import grpo_of

DPO = {"learning_rate": 5e-6, "max_steps": 60, "save_steps": 30}
OURS_TO_TUNE = {
    "vllm_importance_sampling_mode",
    "vllm_importance_sampling_clip_max",
    "gradient_checkpointing",
    "loss_type",
    "per_device_eval_batch_size",
}
"""Keys that the kit sets as defaults alone, so that a profile may change them."""


def with_trl(section: dict[str, Any], **further: Any) -> Profile:
    return load_profile("cortex-8b", {"grpo.trl": section, **further})


def test_further_keys_reach_the_arguments() -> None:
    profile = load_profile("cortex-8b", {"grpo.trl": {"epsilon_high": 0.28}, "dpo.trl": {"loss_type": ["ipo"]}})
    assert grpo_arguments(profile, Path("/out"))["epsilon_high"] == 0.28
    assert dpo_arguments(profile, Path("/out"))["loss_type"] == ["ipo"]


def test_rollouts_of_vllm_are_corrected_token_by_token_unless_the_profile_says_otherwise() -> None:
    def correction(profile: Profile) -> tuple[Any, Any]:
        arguments = grpo_arguments(profile, Path("/out"))
        return arguments["vllm_importance_sampling_mode"], arguments["vllm_importance_sampling_clip_max"]

    assert correction(load_profile("cortex-70b")) == ("token_truncate", 2.0)
    assert correction(with_trl({"vllm_importance_sampling_mode": "sequence_mask"})) == ("sequence_mask", 2.0)
    assert "vllm_importance_sampling_mode" not in grpo_arguments(load_profile("rehearsal"), Path("/out"))


@pytest.mark.parametrize(
    ("section", "refusal"),
    [
        ({"epsilon_hi": 0.2}, "unknown key 'epsilon_hi': did you mean 'epsilon_high'?"),
        ({"trust_remote_code": True}, "'trust_remote_code' cannot be passed on: it runs Python"),
        ({"generation_kwargs": {"custom_generate": "a/b"}}, "'custom_generate' cannot be passed on"),
        ({"model_init_kwargs": {}}, "'model_init_kwargs' cannot be passed on: it loads weights"),
        ({"num_generations": 4}, "'num_generations' cannot be passed on: `grpo.group_size` in the profile decides"),
        ({"loss_type": "bnpo"}, "'loss_type' cannot be passed on: `grpo.loss` in the profile decides"),
        ({"output_dir": "/x"}, "'output_dir' cannot be passed on: the kit watches"),
        ({"hub_token": "x"}, "'hub_token' cannot be passed on: it sends weights to a hub"),
        ({"epsilon": "0.2"}, "epsilon: '0.2' is not a number"),
        ({"epsilon": True}, "epsilon: True is not a number"),
        ({"epsilon": [0.2]}, "epsilon: [0.2] is not a number"),
        ({"top_k": 1.5}, "top_k: 1.5 is not a whole number"),
        ({"steps_per_generation": 0}, "steps_per_generation: 0 is below 1"),
        ({"delta": "x"}, "delta: 'x' is not a number or null"),
        ({"mask_truncated_completions": 1}, "mask_truncated_completions: 1 is not true or false"),
        ({"optim": "adamw_troch"}, "optim: 'adamw_troch' is none of its values: did you mean 'adamw_torch'?"),
        ({"optim": 3}, "optim: 3 is not one of adafactor"),
        (
            {"vllm_importance_sampling_mode": "token_trunc"},
            "vllm_importance_sampling_mode: 'token_trunc' is none of its values: did you mean 'token_truncate'?",
        ),
        ({"vllm_importance_sampling_cap": 2.0}, "write `vllm_importance_sampling_clip_max`"),
    ],
)
def test_a_key_that_is_not_passed_on_is_refused_as_the_profile_is_read(section: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(refusal)) as caught:
        with_trl(section)
    assert "grpo.trl: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_profile_names_the_loss_of_a_pair_and_the_weight_of_sft_beside_it() -> None:
    def losses(**dpo: Any) -> tuple[Any, Any]:
        arguments = dpo_arguments(load_profile("cortex-8b", {f"dpo.{key}": dpo[key] for key in dpo}), Path("/out"))
        return arguments["loss_type"], arguments.get("loss_weights")

    assert losses() == (["sigmoid"], None)
    assert losses(loss="apo_zero") == (["apo_zero"], None)
    assert losses(sft_weight=0.2) == (["sigmoid", "sft"], [1.0, 0.2])
    assert losses(loss="ipo", sft_weight=1.0) == (["ipo", "sft"], [1.0, 1.0])
    assert losses(loss="kto", micro_batch_size=2) == ("kto", None)
    assert losses(trl={"loss_type": ["aot", "sft"], "loss_weights": [1.0, 0.5]}) == (["aot", "sft"], [1.0, 0.5])


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        (
            {"loss": "ipo", "trl": {"loss_type": ["aot"]}},
            "loss and trl.loss_type set the same loss: remove trl.loss_ty",
        ),
        ({"sft_weight": 0.2, "trl": {"loss_weights": [1.0]}}, "sft_weight and trl.loss_weights set the same loss"),
        ({"loss": "robust"}, "Input should be 'sigmoid', "),
        ({"sft_weight": -0.5}, "should be greater than or equal to 0 (given: -0.5)"),
        ({"loss": "kto", "sft_weight": 0.2}, "sft_weight needs pairs, and loss kto has none: remove it"),
        ({"loss": "kto", "micro_batch_size": 1}, "micro_batch_size 1: kto estimates a divergence from other answers"),
        (
            {"loss": "kto", "micro_batch_size": 2, "trl": {"ld_alpha": 0.5}},
            "trl.ld_alpha is no key of the trainer of l",
        ),
        ({"trl": {"desirable_weight": 1.5}}, "trl.desirable_weight is no key of the trainer of loss sigmoid"),
    ],
)
def test_two_losses_of_one_pair_and_unknown_ones_are_refused(changed: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(refusal)) as caught:
        load_profile("cortex-8b", {f"dpo.{key}": value for key, value in changed.items()})
    assert "\n" not in str(caught.value)


def test_a_profile_without_a_loss_of_its_own_keeps_its_hash() -> None:
    plain = load_profile("cortex-8b")
    assert plain.digest == load_profile("cortex-8b", {"dpo.loss": "sigmoid", "dpo.sft_weight": 0.0}).digest
    assert b"sft_weight" not in plain.to_json()
    changed = load_profile("cortex-8b", {"dpo.loss": "ipo", "dpo.sft_weight": 0.5})
    assert Profile.from_json(changed.to_json(), "profile.json") == changed


@pytest.mark.parametrize("value", [None, "optim", 3, ["epsilon"]])
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"grpo\.trl: "):
        load_profile("cortex-8b", {"grpo.trl": value})


def test_a_key_of_grpo_is_none_of_dpo() -> None:
    with pytest.raises(ConfigError, match=r"dpo\.trl: unknown key 'top_entropy_quantile'"):
        load_profile("cortex-8b", {"dpo.trl": {"top_entropy_quantile": 0.2}})


def test_rollouts_that_more_steps_share_move_the_saves_and_the_groups() -> None:
    assert grpo_of(with_trl({"steps_per_generation": 32}, **{"grpo.save_steps": 32})).rollout_phase == 4
    with pytest.raises(ConfigError, match=r"save_steps 30 is not a multiple of the 4 optimizer steps .* use 32"):
        with_trl({"steps_per_generation": 32}, **{"grpo.save_steps": 30})
    with pytest.raises(ConfigError, match=r"micro_batch_size x trl\.steps_per_generation = 3 is not a multiple of"):
        with_trl({"steps_per_generation": 3}, **{"grpo.micro_batch_size": 1})


@pytest.mark.parametrize("stage", ["dpo", "grpo"])
@pytest.mark.parametrize(
    "name",
    [
        path.stem
        for path in sorted(PROFILES.glob("*.yaml"))
        if (shipped := load_profile(path.stem)).grpo and not shipped.domain.takes_turns()  # whose dpo is refused
    ],
)
def test_no_argument_of_ours_is_overruled(name: str, stage: TrlStage) -> None:
    profile = load_profile(name, {"hardware.gpus": 2, "hardware.nodes": 1, "dpo": DPO, "grpo.vllm": {}})
    arguments = (dpo_arguments if stage == "dpo" else grpo_arguments)(profile, Path("/out"))
    for key, value in arguments.items():
        if key not in OURS_TO_TUNE | grpo_of(profile).trl.keys():
            assert any("cannot be passed on" in text for text in refused_trl_keys(stage, {key: value})), key


def test_every_refused_key_is_one_of_trl() -> None:
    from cortex.profiles import trl_passthrough as ours

    known = set[str]().union(*(trl_keys(stage) for stage in ("dpo", "reward_model", "distill", "grpo")))
    assert {*ours._IN_PROFILE, *ours._REFUSED, *ours._CHOICES} <= known  # pyright: ignore[reportPrivateUsage]
