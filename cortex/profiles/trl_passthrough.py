"""Keys of TRL's own configuration that a profile passes on: the known keys with their types, and the refused ones."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cortex.profiles.passthrough import refused_anywhere
from cortex.section import nearest, unknown_key

TrlStage = Literal["dpo", "reward_model", "distill", "grpo"]

TrlClass = Literal["dpo", "kto", "reward_model", "distill", "grpo"]
"""TRL's configuration classes."""

_KEYS = Path(__file__).with_name("trl_keys.json")

_IN_PROFILE = {
    "per_device_train_batch_size": "micro_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "learning_rate": "learning_rate",
    "lr_scheduler_type": "scheduler",
    "warmup_steps": "warmup_steps",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "max_steps": "max_steps",
    "num_train_epochs": "max_steps",
    "save_steps": "save_steps",
    "save_strategy": "save_steps",
    "save_total_limit": "keep_checkpoints",
    "num_generations": "group_size",
    "num_iterations": "iterations",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_completion_length": "max_completion_length",
    "beta": "beta",
    "scale_rewards": "scale_rewards",
    "reward_weights": "domain.rewards",
    "use_vllm": "vllm",
    "vllm_mode": "vllm",
    "vllm_gpu_memory_utilization": "vllm.gpu_memory_utilization",
    "vllm_tensor_parallel_size": "vllm.tensor_parallel_size",
    "vllm_max_model_length": "vllm.max_model_length",
}
"""Keys that the stage's own section of the profile decides, with the profile's key."""

_REFUSED = {
    "output_dir": "the kit watches over the folder that it chose",
    "resume_from_checkpoint": "a checkpoint that nobody verified is not resumed from",
    "load_best_model_at_end": "the kit keeps the best checkpoint, and releases it",
    "save_only_model": "a checkpoint without the optimizer cannot be continued from",
    "ignore_data_skip": "a resumed run would train on the same examples again",
    "restore_callback_states_from_checkpoint": "the kit's callbacks have no state",
    "enable_jit_checkpoint": "the kit saves in time when the machine is taken away",
    "auto_find_batch_size": "the batch, and so the result, would depend on the machine's memory",
    "generation_batch_size": "`steps_per_generation` says the same",
    "remove_unused_columns": "the reward reads columns that the model does not",
    "seed": "`seed` in the profile decides",
    "data_seed": "`seed` in the profile decides",
    "bf16": "`hardware.device` in the profile decides",
    "fp16": "`hardware.device` in the profile decides",
    "use_cpu": "`hardware.device` in the profile decides",
    "fsdp": "`hardware` in the profile decides",
    "fsdp_config": "`hardware` in the profile decides",
    "deepspeed": "`hardware` in the profile decides",
    "accelerator_config": "it may split batches between processes in another way than a resumed run does",
    "parallelism_config": "`hardware` in the profile decides",
    "local_rank": "torchrun decides",
    "max_length": "`sft.sequence_length` in the profile decides",
    "teacher_model_name_or_path": "`distill.teacher` in the profile decides",
    "teacher_model_revision": "`distill.teacher` in the profile decides",
    "teacher_model_init_kwargs": "it loads weights; `distill.teacher` in the profile decides",
    "model_init_kwargs": "it loads weights; `model` in the profile decides",
    "chat_template_path": "the base's own template decides",
    "vllm_enable_sleep_mode": "asleep, vLLM leaves its memory to the training",
    "vllm_server_base_url": "vLLM shares the GPUs that train: no server is asked",
    "vllm_server_host": "vLLM shares the GPUs that train: no server is asked",
    "vllm_server_port": "vLLM shares the GPUs that train: no server is asked",
    "vllm_server_timeout": "vLLM shares the GPUs that train: no server is asked",
    "vllm_group_port": "vLLM shares the GPUs that train: no server is asked",
    "vllm_importance_sampling_cap": "TRL will remove it; write `vllm_importance_sampling_clip_max`",
    "report_to": "the kit decides where metrics go",
    "run_name": "the kit decides where metrics go",
    "project": "the kit decides where metrics go",
    "trackio_space_id": "it sends metrics to a hub",
    "trackio_bucket_id": "it sends metrics to a hub",
    "trackio_static_space_id": "it sends metrics to a hub",
    "log_completions": "the kit decides which answers are kept",
    "log_completions_hub_repo": "it sends answers to a hub",
    "logging_steps": "the kit logs each step",
    "logging_strategy": "the kit logs each step",
    "disable_tqdm": "the kit shows its own progress",
    "push_to_hub": "it sends weights to a hub; the release is what leaves a run",
    "do_eval": "the kit decides when it validates",
    "do_predict": "the trainer only trains",
    "eval_strategy": "the kit decides when it validates",
    "eval_steps": "the kit decides when it validates",
    "num_generations_eval": "a validation samples one answer to each prompt",
    "eval_on_start": "the kit decides when it validates",
    "dataloader_num_workers": "a resumed run would draw other examples than an undisturbed one",
    "dataloader_in_order": "a resumed run would draw other examples than an undisturbed one",
}
"""Further keys that the kit sets itself, or that would bypass it, each with the reason."""

_CHOICES = {
    "importance_sampling_level": ("token", "sequence"),
    "vllm_importance_sampling_mode": ("token_truncate", "token_mask", "sequence_truncate", "sequence_mask"),
}
"""Allowed values of keys that TRL checks only after the first rollouts."""

_AT_LEAST_ONE = ("steps_per_generation",)
"""Keys whose number the kit computes with, and which must be 1 or more."""

_KINDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "bool": ("true or false", bool),
    "int": ("a whole number", int),
    "float": ("a number", (int, float)),
    "str": ("text", str),
    "list": ("a list", list),
    "dict": ("a mapping", dict),
    "null": ("null", type(None)),
}


def refused_trl_keys(stage: TrlStage, section: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each key of `<stage>.trl` that is not passed on, with the reason."""
    known = trl_keys(stage)
    for key, value in section.items():
        if key not in known:
            yield unknown_key(key, list(known))
        elif reason := _refusal_reason(stage, key):
            yield f"{key!r} cannot be passed on: {reason}"
        elif wrong := _type_fault(key, value, known[key]):
            yield f"{key}: {wrong}"
    yield from refused_anywhere(section)


def trl_keys(stage: TrlStage) -> dict[str, list[str]]:
    """The keys of TRL's configuration classes for a stage, each with the types of values that it takes."""
    return class_keys("kto") | class_keys("dpo") if stage == "dpo" else class_keys(stage)


@cache
def class_keys(trainer: TrlClass) -> dict[str, list[str]]:
    """The keys of one of TRL's configuration classes, each with the types of values that it takes.

    `scripts/trl_keys.py` writes them from the locked TRL, since TRL is not installed where profiles are read.
    """
    return json.loads(_KEYS.read_text(encoding="utf-8"))[trainer]


def _refusal_reason(stage: TrlStage, key: str) -> str | None:
    if key == "loss_type" and stage == "grpo":
        return "`grpo.loss` in the profile decides"
    if key in _IN_PROFILE:
        return f"`{stage}.{_IN_PROFILE[key]}` in the profile decides"
    if key.startswith("hub_"):
        return _REFUSED["push_to_hub"]
    return _REFUSED.get(key)


def _type_fault(key: str, value: Any, kinds: list[str]) -> str | None:
    """The fault of a value's type; None if there is none. TRL checks its range when the trainer starts."""
    words = [kind[1:] for kind in kinds if kind.startswith("=")] or _CHOICES.get(key, ())
    if words and isinstance(value, str):
        return None if value in words else f"{value!r} is none of its values: {nearest(value, words)}"
    taken = [kind for kind in kinds if not kind.startswith("=")]
    if key in _AT_LEAST_ONE and _is(value, int) and value < 1:
        return f"{value} is below 1"
    if any(_is(value, _KINDS[kind][1]) for kind in taken):
        return None
    expected = [_KINDS[kind][0] for kind in taken] + [f"one of {', '.join(words)}"] * bool(words)
    return f"{value!r} is not {' or '.join(expected)}"


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    """Tell if a value is of this type; `true` is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
