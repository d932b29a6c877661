"""A small stand-in of a profile: its trainers with their settings, on a tiny model, a few steps, one process, a CPU."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import ScratchModel
from cortex.profiles.trainer_sections import Grpo, Optimization
from cortex.section import nearest

Trainer = Literal["sft", "grpo"]

SHAPE = ScratchModel(vocabulary=400, hidden_size=32, intermediate_size=64, layers=2, heads=2, context=128)
"""The tiny model. A checkpoint of it has every file that one of the profile's own model has."""

SAVES = 3
"""Checkpoints of an undisturbed training, the one at its very end not counted."""

ANSWERS = 48
"""Number of conversations that stand in for a teacher's."""

_GPU_ONLY = re.compile(r"flash|kernel|liger|deepspeed|fsdp|bf16|fp16|fp8|tf32|bit|compile|offload|xformers|unsloth")
_GPU_OPTIMIZER = re.compile(r"8bit|4bit|fp8|paged|fused|bnb")


@dataclass(frozen=True)
class StandIn:
    """The small profile that is drilled in place of the user's."""

    profile: Profile
    stage: Trainer
    differs: tuple[str, ...]
    """Settings of the trainer that had to differ on a CPU, in words."""

    @property
    def section(self) -> Optimization:
        section = self.profile.sft if self.stage == "sft" else self.profile.grpo
        assert section is not None
        return section

    @property
    def older(self) -> int:
        """The step of the checkpoint that stays intact."""
        return self.section.save_steps

    @property
    def newest(self) -> int:
        """The step of the checkpoint that is damaged."""
        return 2 * self.section.save_steps

    @property
    def reached(self) -> int:
        """The last step before the interruption."""
        return self.newest + 1


def stand_in(profile: Profile, stage: Trainer, base: Path, *, seed: int | None = None) -> StandIn:
    """The profile that is drilled in place of `profile`; its tiny base model lies, or will lie, in `base`.

    Raises:
        ConfigError: a value of the profile allows no stand-in.
    """
    differs: list[str] = []
    section = _sft(profile, differs) if stage == "sft" else _grpo(profile, profile.grpo, differs)
    raw: dict[str, Any] = profile.model_dump(mode="json")
    raw["name"] = f"drill-{profile.name}"[:40]
    raw["seed"] = profile.seed if seed is None else seed
    raw["model"] |= {"base": str(base), "scratch": None}
    adapter = profile.model.adapter
    if adapter:
        raw["model"]["adapter"] |= {"kind": "lora"}
        if adapter.kind == "qlora":
            differs.append("adapter lora, not qlora: 4-bit weights need a GPU")
    if profile.model.attention == "flash_attention_2":
        raw["model"]["attention"] = "sdpa"
        differs.append("attention sdpa, not flash_attention_2")
    raw["domain"] = profile.domain.small().model_dump(mode="json")
    raw["teacher"] = {"examples": ANSWERS}
    raw |= {"dpo": None, "reward_model": None}
    if raw["grpo"]:
        raw["grpo"] |= {"vllm": None, "reward": "domain"}
    raw[stage] |= section
    raw["hardware"] |= {"device": "cpu", "gpus": 1, "threads": 1}
    if profile.hardware.gpus > 1:
        differs.append(f"1 process, not {profile.hardware.gpus}: checkpoints are not sharded")
    try:
        return StandIn(Profile.model_validate(raw), stage, tuple(differs))
    except ValueError as error:
        raise ConfigError(f"profile {profile.name} has no stand-in: {' '.join(str(error).split())}") from error


def find_trainer(stage: str) -> Trainer:
    """The stage of this name, if its trainer can be drilled.

    Raises:
        UsageError: it cannot.
    """
    known: dict[str, Trainer] = {"sft": "sft", "grpo": "grpo"}
    if stage not in known:
        raise UsageError(f"no trainer {stage!r} to drill: {nearest(stage, list(known))}")
    return known[stage]


def _sft(profile: Profile, differs: list[str]) -> dict[str, Any]:
    sft = profile.sft
    few = _few_steps(sft, 2)
    few |= {"micro_batch_size": min(sft.micro_batch_size, 4), "sequence_length": SHAPE.context}
    if _GPU_OPTIMIZER.search(sft.optimizer):
        few["optimizer"] = "adamw_torch"
        differs.append(f"optimizer adamw_torch, not {sft.optimizer}, which needs a GPU")
    dropped = sorted(key for key in sft.axolotl if _GPU_ONLY.search(key))
    if dropped:
        few["axolotl"] = {key: value for key, value in sft.axolotl.items() if key not in dropped}
        differs.append(f"without sft.axolotl's {', '.join(dropped)}, for GPUs")
    return few


def _grpo(profile: Profile, grpo: Grpo | None, differs: list[str]) -> dict[str, Any]:
    if grpo is None:
        raise ConfigError(f"profile {profile.name} has no grpo section to drill: drill its SFT, with --stage sft")
    few = _few_steps(grpo, grpo.rollout_phase if grpo.rollout_phase > 1 else 2)
    few |= {"micro_batch_size": grpo.group_size, "max_completion_length": 8, "collapse": None, "samples": 0}
    dropped = sorted(key for key, value in grpo.trl.items() if _GPU_ONLY.search(f"{key} {value}"))
    if dropped:
        few["trl"] = {key: value for key, value in grpo.trl.items() if key not in dropped}
        differs.append(f"without grpo.trl's {', '.join(dropped)}, for GPUs")
    if grpo.vllm:
        differs.append("rollouts by transformers, not vLLM")
    return few


def _few_steps(section: Optimization, save_steps: int) -> dict[str, Any]:
    """Steps and saves at a scale of seconds. The end is one step after the last save: few trainings end on a save."""
    return {
        "max_steps": SAVES * save_steps + 1,
        "save_steps": save_steps,
        "warmup_steps": min(section.warmup_steps, 2),
        "gradient_accumulation": min(section.gradient_accumulation, 2),
        # the bare trainer, which it is compared with, ends with its last weights
        "validate_steps": None,
        "patience": None,
        # a limit far above a tiny model's steps, yet short enough to notice a hang soon
        "hang_limit": {"steps": 50, "least_seconds": 5, "start_seconds": 120},
    }
