"""Training steps of a profile as requests for a trace, read from the same arguments that the trainers get."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex.fleet.capacity.architecture import FLOAT
from cortex.fleet.capacity.lengths import PROMPT, rollout_tokens, sft_tokens
from cortex.fleet.capacity.sheets import GpuSheet
from cortex.profiles.distill_section import Distill
from cortex.profiles.profile import Profile
from cortex.profiles.trainer_sections import Grpo
from cortex.runs.stage_list import scorer, trainings
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import ARGUMENTS, lora_arguments, pretrain_arguments

_NOWHERE = Path("/")
_MOMENTS = {"adamw_8bit": 2.1, "adafactor": 0.1}
"""Bytes of state for each parameter of the optimizers that keep less than AdamW's two moments in float32: of 8 bits,
with a scale for each 256 (https://arxiv.org/abs/2110.02861); or sums of a matrix's rows and columns alone."""


@dataclass(frozen=True)
class Step:
    """One optimizer step of a training stage, by its trainer's arguments."""

    stage: str
    rows: int
    """Sequences in one forward pass on one GPU."""
    passes: int
    """Forward passes in one optimizer step."""
    beside: int
    """Further forward passes beside each of them, without gradients: of the reference model, or for probabilities."""
    tokens: int
    """Tokens of the longest sequence."""
    usual: int
    """Tokens of a usual sequence."""
    scored: int
    """Tokens of the longest sequence that the loss is computed on."""
    ranks: int
    adapter: Mapping[str, Any] | None
    packed: bool
    checkpointing: bool
    half: bool
    attention: str
    reshard: bool
    moments: float = 2 * FLOAT
    """Bytes of the optimizer's state for each trained parameter."""


@dataclass(frozen=True)
class VllmShare:
    """vLLM on the training GPUs."""

    share: float
    """Share of each GPU's memory that vLLM uses."""
    tensor: int
    """GPUs that share one copy of the model."""
    length: int | None
    """Tokens of the longest sequence that vLLM must have room for; None: the longest that the model can take."""


@dataclass(frozen=True)
class Rollout:
    """Sampling on the training GPUs, of GRPO or distillation, by TRL's arguments."""

    vllm: VllmShare | None
    """None where transformers samples."""
    answers: int
    """Answers of one batch for each GPU."""
    tokens: int
    """Tokens of the longest answer."""
    batches: int
    """Batches in the whole training."""


def rollout(profile: Profile, stage: str) -> Rollout:
    """The sampling of a profile's GRPO or distillation."""
    section: Distill | Grpo | None = getattr(profile, stage)
    assert section is not None
    arguments = ARGUMENTS[stage](profile, _NOWHERE)
    vllm = None
    if arguments["use_vllm"]:
        length = arguments["vllm_max_model_length"]
        vllm = VllmShare(
            share=float(arguments["vllm_gpu_memory_utilization"]),
            tensor=int(arguments["vllm_tensor_parallel_size"]),
            length=int(length) if length else None,
        )
    return Rollout(
        vllm=vllm,
        answers=int(arguments["per_device_train_batch_size"]) * section.generation_steps,
        tokens=int(arguments["max_completion_length"]),
        batches=max(1, int(arguments["max_steps"]) // section.rollout_phase),
    )


def steps(profile: Profile) -> dict[str, Step]:
    """The step of each training stage of a profile; of pretraining also that of each phase, by `phase_key`."""
    found: dict[str, Step] = {}
    for stage in trainings(profile):
        if stage == "pretrain":
            found |= _pretrain(profile)
        else:
            found[stage] = _sft(profile) if stage == "sft" else _trl(profile, stage)
    return found


def phase_key(phase: str) -> str:
    """The key of a pretraining phase's step."""
    return f"pretrain {phase}"


def request(step: Step, config: Mapping[str, Any], layers: int, sheet: GpuSheet) -> dict[str, Any]:
    """The request that `cortex.tracing.step_trace` reads, for a model cut to `layers` layers."""
    return {
        "config": dict(config),
        "kind": _traced_as(step.stage),
        "layers": layers,
        "rows": step.rows,
        "tokens": step.tokens,
        "scored": step.scored,
        "ranks": step.ranks,
        "adapter": dict(step.adapter) if step.adapter else None,
        "packed": step.packed,
        "checkpointing": step.checkpointing,
        "half": step.half,
        "attention": step.attention,
        "reshard_after_forward": step.reshard,
        "flops": sheet.flops,
        "bandwidth": sheet.bandwidth,
    }


def _pretrain(profile: Profile) -> dict[str, Step]:
    pretrain = profile.pretrain
    assert pretrain is not None
    arguments = pretrain_arguments(profile, _NOWHERE)

    def step(length: int) -> Step:
        return Step(
            stage="pretrain",
            rows=pretrain.micro_batch_size * pretrain.longest // length,
            passes=int(arguments["gradient_accumulation_steps"]),
            beside=0,
            tokens=length,
            usual=length,
            scored=length,
            ranks=profile.hardware.processes,
            adapter=None,
            packed=False,
            checkpointing=bool(arguments["gradient_checkpointing"]),
            half=bool(arguments["bf16"]),
            attention=profile.model.attention,
            reshard=bool(arguments.get("fsdp_config", {}).get("reshard_after_forward", True)),
            moments=_MOMENTS.get(pretrain.optimizer, 2.0 * FLOAT),
        )

    phases = {phase_key(phase.name): step(phase.sequence_length) for phase in pretrain.phases}
    return {"pretrain": step(pretrain.longest), **phases}


def _sft(profile: Profile) -> Step:
    config = axolotl_config(profile, profile.model.base or "/", _NOWHERE, _NOWHERE, _NOWHERE, None)
    longest, usual = sft_tokens(profile)
    tokens = int(config["sequence_len"])
    lora = profile.model.adapter
    return Step(
        stage="sft",
        rows=int(config["micro_batch_size"]),
        passes=int(config["gradient_accumulation_steps"]),
        beside=0,
        tokens=tokens,
        usual=usual,
        scored=max(1, tokens - PROMPT) if longest > PROMPT else tokens,
        ranks=profile.hardware.processes,
        adapter=lora_arguments(lora) if lora else None,
        packed=bool(config.get("load_in_4bit")),
        checkpointing=bool(config["gradient_checkpointing"]),
        half=bool(config["bf16"]),
        attention=str(config["attn_implementation"]),
        reshard=bool(config.get("fsdp_config", {}).get("reshard_after_forward", True)),
    )


def _trl(profile: Profile, stage: str) -> Step:
    arguments = ARGUMENTS[stage](profile, _NOWHERE)
    rows = int(arguments["per_device_train_batch_size"])
    if stage in ("dpo", "reward_model"):
        tokens, usual = int(arguments["max_length"]), min(int(arguments["max_length"]), rollout_tokens(profile)[1])
        scored = max(1, tokens - PROMPT)
        if not (stage == "dpo" and profile.dpo and profile.dpo.unpaired):
            rows *= 2  # chosen and rejected answers go through in one pass
    else:
        tokens, usual = rollout_tokens(profile, stage)
        scored = int(arguments["max_completion_length"])
    return Step(
        stage=stage,
        rows=rows,
        passes=int(arguments["gradient_accumulation_steps"]),
        beside=_beside(profile, stage),
        tokens=tokens,
        usual=usual,
        scored=scored,
        ranks=profile.hardware.processes,
        adapter=lora_arguments(profile.model.adapter) if profile.model.adapter else None,
        packed=False,
        checkpointing=bool(arguments["gradient_checkpointing"]),
        half=bool(arguments["bf16"]),
        attention=profile.model.attention,
        reshard=bool(arguments.get("fsdp_config", {}).get("reshard_after_forward", True)),
    )


def _traced_as(stage: str) -> str:
    """The kind of step that stands for a stage's in a trace, by its loss.

    Pretraining's loss is transformers' own, as SFT's is. A reward model's step is DPO's but for its head, which is
    smaller than TRL's fused one.
    """
    return {"pretrain": "sft", "reward_model": "dpo"}.get(stage, stage)


def _beside(profile: Profile, stage: str) -> int:
    """Forward passes beside each pass with gradients."""
    if stage == "dpo":
        # The reference model's. KTO's divergence needs one more pass of both models, over answers to other questions.
        return 3 if profile.dpo and profile.dpo.loss == "kto" else 1
    grpo = profile.grpo if stage == "grpo" else None
    # Those of the policy that sampled the answers, of the reference model, and of the reward model.
    passes = bool(grpo and (grpo.vllm or grpo.iterations > 1)) + bool(grpo and grpo.beta)
    return passes + (len(scorer(profile)) if grpo else 0)
