"""A profile's sections as the arguments of transformers' and TRL's own configuration classes."""

from pathlib import Path
from typing import Any

from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Adapter
from cortex.profiles.trainer_sections import Optimization, Vllm
from cortex.trainers.zero3 import zero3_config


def grpo_arguments(profile: Profile, output: Path) -> dict[str, Any]:
    """Keyword arguments of `trl.GRPOConfig`; the profile has a `grpo` section."""
    grpo = profile.grpo
    assert grpo is not None
    arguments = _common(profile, grpo, output) | {
        "num_generations": grpo.group_size,
        "num_generations_eval": 1,
        "num_iterations": grpo.iterations,
        "temperature": grpo.temperature,
        "top_p": grpo.top_p,
        "max_completion_length": grpo.max_completion_length,
        "beta": grpo.beta,
        "loss_type": grpo.loss,
        "scale_rewards": grpo.scale_rewards,
        "log_completions": False,
        "use_vllm": grpo.vllm is not None,
    }
    if grpo.reward == "reward_model":
        arguments |= {"reward_weights": [1.0, 0.0]}  # the truth is measured beside it, and rewards nothing
    if grpo.vllm:
        arguments |= _in_vllm(grpo.vllm) | {
            # vLLM's kernels round otherwise than the trainer's, so each token's probability differs a little. TRL would
            # drop whole answers for that (sequence_mask, 3), the longest ones first; a bound on each token's weight is
            # the gentler correction (Yao et al., "Your Efficient RL Framework Secretly Brings You Off-Policy RL
            # Training", 2025).
            "vllm_importance_sampling_mode": "token_truncate",
            "vllm_importance_sampling_clip_max": 2.0,
        }
    return arguments | grpo.trl


def distill_arguments(profile: Profile, output: Path) -> dict[str, Any]:
    """Keyword arguments of `trl.DistillationConfig`; the profile has a `distill` section."""
    distill = profile.distill
    assert distill is not None
    arguments = _common(profile, distill, output) | {
        "beta": distill.beta,
        "temperature": distill.temperature,
        "top_p": distill.top_p,
        "max_completion_length": distill.max_completion_length,
        "log_completions": False,
        "use_vllm": distill.vllm is not None,
    }
    return arguments | (_in_vllm(distill.vllm) if distill.vllm else {}) | distill.trl


def dpo_arguments(profile: Profile, output: Path) -> dict[str, Any]:
    """Keyword arguments of `trl.DPOConfig`, or of `trl.KTOConfig` for a loss of unpaired answers; the profile has a
    `dpo` section."""
    dpo = profile.dpo
    assert dpo is not None
    losses: dict[str, Any] = {"loss_type": dpo.loss if dpo.unpaired else [dpo.loss]}
    if dpo.sft_weight:
        losses = {"loss_type": [dpo.loss, "sft"], "loss_weights": [1.0, dpo.sft_weight]}
    arguments = _common(profile, dpo, output) | {"beta": dpo.beta, "max_length": profile.sft.sequence_length}
    return arguments | losses | dpo.trl


def pretrain_arguments(profile: Profile, output: Path) -> dict[str, Any]:
    """Keyword arguments of `transformers.TrainingArguments`; the profile has a `pretrain` section."""
    pretrain = profile.pretrain
    assert pretrain is not None
    return _common(profile, pretrain, output) | {
        "gradient_accumulation_steps": pretrain.gradient_accumulation // profile.hardware.processes,
        "learning_rate": pretrain.rate_of(pretrain.phases[0]),
        "lr_scheduler_type": "constant",  # the program sets the phases' own: `cortex.trainers.text_passes.Rates`
        "optim": pretrain.optimizer,
    }


def reward_model_arguments(profile: Profile, output: Path) -> dict[str, Any]:
    """Keyword arguments of `trl.RewardConfig`; the profile has a `reward_model` section."""
    section = profile.reward_model
    assert section is not None
    return _common(profile, section, output) | {"max_length": profile.sft.sequence_length} | section.trl


ARGUMENTS = {
    "dpo": dpo_arguments,
    "distill": distill_arguments,
    "reward_model": reward_model_arguments,
    "grpo": grpo_arguments,
}
"""The arguments of each stage that TRL trains."""


def lora_arguments(adapter: Adapter) -> dict[str, Any]:
    """Keyword arguments of `peft.LoraConfig`."""
    return {
        "r": adapter.r,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
    }


def _in_vllm(vllm: Vllm) -> dict[str, Any]:
    return {
        "vllm_mode": "colocate",
        "vllm_gpu_memory_utilization": vllm.gpu_memory_utilization,
        "vllm_tensor_parallel_size": vllm.tensor_parallel_size,
        "vllm_max_model_length": vllm.max_model_length,
        "vllm_enable_sleep_mode": True,
    }


def _common(profile: Profile, section: Optimization, output: Path) -> dict[str, Any]:
    gpu = profile.hardware.device == "cuda"
    arguments: dict[str, Any] = {
        "output_dir": str(output),
        "per_device_train_batch_size": section.micro_batch_size,
        "per_device_eval_batch_size": section.micro_batch_size,
        "gradient_accumulation_steps": section.gradient_accumulation,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": section.scheduler,
        "warmup_steps": section.warmup_steps,
        "weight_decay": section.weight_decay,
        "max_grad_norm": section.max_grad_norm,
        "max_steps": section.max_steps,
        "save_steps": section.save_steps,
        "save_total_limit": None,  # never prune here: the committer takes over each checkpoint and prunes
        "logging_steps": 1,
        "seed": profile.seed,
        "data_seed": profile.seed,
        "bf16": gpu,
        "use_cpu": not gpu,
        "gradient_checkpointing": gpu,
        "dataloader_num_workers": 0,
        "report_to": [],
        "disable_tqdm": True,
    }
    if not gpu or profile.hardware.processes == 1:
        return arguments
    return arguments | ({"deepspeed": zero3_config()} if profile.hardware.sharding == "zero3" else _sharded())


def _sharded() -> dict[str, Any]:
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            # wraps the classes that the model itself names: see cortex/trainers/layers.py
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            # with a sharded state dict, `Trainer.save_model` would write no model at all
            "state_dict_type": "FULL_STATE_DICT",
            "reshard_after_forward": True,
            # FSDP's own activation_checkpointing would spare the backward pass a gather; but under it the wrapped
            # layers' names no longer match the adapter's, and PEFT saves an adapter without weights
            "activation_checkpointing": False,
        },
    }
