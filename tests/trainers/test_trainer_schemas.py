"""The shipped profiles, as the trainers' own configuration classes see them, each in its image's environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.profiles.trl_passthrough import _CHOICES  # pyright: ignore[reportPrivateUsage]
from cortex.settings import CHECKOUT
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import distill_arguments, dpo_arguments, grpo_arguments, lora_arguments
from scripts.roadtest.prepare import PROFILE as ROAD_TEST
from tests.programs import in_image

HERE = Path(__file__).parent

NAMED = sorted(path.stem for path in PROFILES.glob("*.yaml"))
SHIPPED = [*NAMED, str(ROAD_TEST)]
DPO = {"learning_rate": 5e-6, "max_steps": 60, "save_steps": 30}


def sft(profile: Profile) -> dict[str, Any]:
    return axolotl_config(profile, profile.model.base or "/base", Path("/set"), Path("/out"), Path("/ready"), None)


def grpo(profile: Profile) -> dict[str, Any]:
    return grpo_arguments(profile, Path("/out"))


def dpo(profile: Profile) -> dict[str, Any]:
    return dpo_arguments(profile, Path("/out"))


def distill(profile: Profile) -> dict[str, Any]:
    return distill_arguments(profile, Path("/out"))


def gpus(profile: Profile) -> int:
    return profile.hardware.processes if profile.hardware.device == "cuda" else 0


def refusals(image: str, program: str, cases: list[dict[str, Any]]) -> tuple[dict[str, str | None], str]:
    done = in_image(image, [str(HERE / program)], json.dumps(cases))
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


AXOLOTL_MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a word for a number": ("cortex-8b", {"learning_rate": "fast"}, "learning_rate"),
    "an unknown attention": ("cortex-8b", {"attn_implementation": "sdpaa"}, "attn_implementation"),
    "two warm-ups": ("cortex-8b", {"warmup_ratio": 0.1}, "mutually exclusive"),
    "an unknown adapter": ("cortex-8b", {"adapter": "lorra"}, "'lorra' is not built in"),
    "QLoRA on whole weights": ("cortex-70b", {"load_in_4bit": False}, "load_in_4bit"),
    "an optimizer that FSDP2 cannot shard": ("cortex-70b", {"optimizer": "adamw_8bit"}, "FSDP2"),
    "4-bit weights loaded by one rank": (
        "cortex-70b",
        {"fsdp_config": {"cpu_ram_efficient_loading": True, "state_dict_type": "SHARDED_STATE_DICT"}},
        "cpu_ram_efficient_loading",
    ),
    "4-bit DPO under FSDP2": ("cortex-70b", {"rl": "dpo", "sample_packing": False}, "FSDP2"),
    "an unknown way to save": ("cortex-70b", {"fsdp_config": {"state_dict_type": "SHARDED"}}, "state_dict_type"),
    "a word for a length": ("rehearsal", {"sequence_len": "long"}, "sequence_len"),
}


@pytest.mark.rehearsal
def test_axolotl_accepts_every_shipped_profile_and_refuses_mistakes() -> None:
    profiles = {name: load_profile(name) for name in SHIPPED}
    cases = [{"name": name, "config": sft(profile), "gpus": gpus(profile)} for name, profile in profiles.items()]
    for mistake, (name, change, _) in AXOLOTL_MISTAKES.items():
        cases.append({"name": mistake, "config": sft(profiles[name]) | change, "gpus": gpus(profiles[name])})
    found, _ = refusals("sft", "accept_axolotl.py", cases)
    assert {name: found[name] for name in SHIPPED} == dict.fromkeys(SHIPPED)
    for mistake, (_, _, word) in AXOLOTL_MISTAKES.items():
        assert word in (found[mistake] or "accepted"), mistake


TRL_MISTAKES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "groups that 8 GPUs do not fill": ("cortex-70b", "grpo", {"num_generations": 7}, "divisible by num_generations"),
    "groups that 1 GPU does not fill": ("cortex-8b", "grpo", {"num_generations": 48}, "divisible by num_generations"),
    "a group of one": ("cortex-8b", "grpo", {"num_generations": 1}, "at least 2 generations"),
    "an unknown GRPO key": ("cortex-8b", "grpo", {"num_generation": 8}, "num_generation"),
    "an unknown GRPO scheduler": ("cortex-70b", "grpo", {"lr_scheduler_type": "cosin"}, "cosin"),
    "an unknown way to save": (
        "cortex-70b",
        "grpo",
        {"fsdp_config": {"state_dict_type": "WHOLE_STATE_DICT"}},
        "WHOLE_STATE_DICT",
    ),
    "an unknown DPO key": ("cortex-70b", "dpo", {"betta": 0.1}, "betta"),
    "DPO losses without their weights": (
        "cortex-8b",
        "dpo",
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0]},
        "loss_weights",
    ),
    "a divergence that is none": ("distill-8b", "distill", {"beta": 1.5}, "beta must be in"),
    "an unknown distillation key": ("rehearsal-distillation", "distill", {"lmbda": 0.5}, "lmbda"),
    "an unknown LoRA key": ("cortex-8b", "lora", {"rank": 16}, "rank"),
    "an unknown LoRA task": ("cortex-8b", "lora", {"task_type": "CAUSAL"}, "CAUSAL"),
}


def asks_for_one_reply(profile: Profile) -> bool:
    """Dialogues and matches have no pairs of replies for DPO."""
    return not any(domain.takes_turns() or domain.plays_matches() for domain in profile.domain.parts().values())


@pytest.mark.rehearsal
def test_trl_and_peft_accept_every_shipped_profile_and_refuse_mistakes() -> None:
    profiles = {name: load_profile(name) for name in SHIPPED}
    # the 70B profile leaves DPO out; its arguments are checked for whoever puts it in, on one machine
    alone = {"dpo": DPO, "hardware.nodes": 1}
    without = {name for name, profile in profiles.items() if profile.dpo is None and asks_for_one_reply(profile)}
    profiles |= {name: load_profile(name, alone) for name in without}
    arguments = {(name, "grpo"): grpo(profile) for name, profile in profiles.items() if profile.grpo}
    arguments |= {(name, "distill"): distill(profile) for name, profile in profiles.items() if profile.distill}
    arguments |= {(name, "dpo"): dpo(profile) for name, profile in profiles.items() if profile.dpo}
    for name, profile in profiles.items():
        if profile.model.adapter:
            arguments[name, "lora"] = lora_arguments(profile.model.adapter)

    def case(label: str, name: str, kind: str, change: dict[str, Any]) -> dict[str, Any]:
        given = arguments[name, kind] | change
        return {"name": label, "kind": kind, "arguments": given, "gpus": gpus(profiles[name])}

    good = [case(f"{name} {kind}", name, kind, {}) for name, kind in arguments]
    bad = [case(label, name, kind, change) for label, (name, kind, change, _) in TRL_MISTAKES.items()]
    found, complaints = refusals("grpo", "accept_trl.py", good + bad)
    assert {one["name"]: found[one["name"]] for one in good} == {one["name"]: None for one in good}
    for label, (_, _, _, word) in TRL_MISTAKES.items():
        assert word in (found[label] or "accepted"), label
    assert "deprecated" not in complaints


@pytest.mark.rehearsal
def test_profiles_are_checked_against_the_keys_of_the_locked_trl() -> None:
    done = in_image("grpo", ["scripts/trl_keys.py"])
    assert done.returncode == 0, done.stderr[-2000:]
    kept = CHECKOUT / "cortex" / "profiles" / "trl_keys.json"
    assert done.stdout == kept.read_text(encoding="utf-8"), "write it anew: see scripts/trl_keys.py"


@pytest.mark.rehearsal
def test_trl_looks_for_the_words_that_the_kit_takes() -> None:
    read = "import inspect; from trl.trainer import grpo_trainer; print(inspect.getsource(grpo_trainer))"
    done = in_image("grpo", ["-c", read])
    for words in _CHOICES.values():
        for word in words:
            assert f'"{word}"' in done.stdout, word


@pytest.mark.rehearsal
def test_a_misspelled_axolotl_key_is_refused_with_the_right_one() -> None:
    # Axolotl itself lets it pass, so the stage looks
    check = "from cortex.trainers.axolotl_config import check_passthrough as check; check({'save_steps': 7}); "
    done = in_image("sft", ["-c", check + "check({'sav_steps': 7})"])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "cortex.errors.ConfigError: sft.axolotl: unknown key 'sav_steps': did you mean 'save_steps'?"
    )


@pytest.mark.parametrize("name", [name for name in NAMED if not name.startswith("rehearsal")])
def test_sizes_of_shipped_profiles_fit_one_another(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    prompt = 512  # tokens: more than a full prompt of ten features takes
    assert prompt + profile.teacher.max_tokens <= profile.sft.sequence_length
    if profile.grpo:
        assert profile.grpo.vllm is not None and profile.grpo.vllm.max_model_length is not None
        assert prompt + profile.grpo.max_completion_length <= profile.grpo.vllm.max_model_length
    for section in (profile.sft, profile.dpo, profile.grpo):
        assert section is None or section.save_steps < section.max_steps, "a preemption would cost the whole stage"


def test_vllm_cannot_share_a_model_among_more_gpus_than_there_are() -> None:
    with pytest.raises(ConfigError, match="tensor_parallel_size 3 does not divide the 8 GPUs: use 1, 2, 4 or 8"):
        load_profile("cortex-70b", {"grpo.vllm.tensor_parallel_size": 3})


def test_vllm_must_have_room_for_an_answer() -> None:
    with pytest.raises(ConfigError, match="max_model_length 768 leaves no room for a prompt"):
        load_profile("cortex-8b", {"grpo.vllm.max_model_length": 768})
