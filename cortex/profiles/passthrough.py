"""Keys of a trainer's own configuration that a profile cannot pass on, because they would run code from elsewhere."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

LOADS_CODE = {
    "plugins": "it imports modules by name; the kit's own is always there",
    "trainer_cls": "it imports a class by name",
    "torchdistx_path": "it puts a folder on Python's path",
    "type_of_model": "it names a class to load the model with; `model` in the profile decides",
    "model_type": "it names a class to load the model with; `model` in the profile decides",
    "tokenizer_type": "it names a class to load the tokenizer with",
    "processor_type": "it names a class to load the processor with",
    "rl": "its trainers take reward functions by module; `dpo` and `grpo` in the profile are for that",
    "trl": "it takes reward functions by module; `dpo` and `grpo` in the profile are for that",
    "ebft": "its trainer takes further code; `dpo` and `grpo` in the profile are for that",
    "vllm": "it starts a server; `grpo.vllm` in the profile is for that",
    "use_kernels": "it downloads compiled code from the hub",
    "attn_implementation": "it may name compiled code on the hub; `model.attention` in the profile decides",
    "experts_implementation": "it may name compiled code on the hub",
    "gemma4_hybrid_attn_impl": "it may name compiled code on the hub",
    "use_ray": "it runs whatever a cluster's head sends",
    "deepspeed": "its checkpoints are pickles; several GPUs are shared by FSDP",
    "base_model": "it names weights; `model.base` in the profile decides",
    "base_model_config": "it names another configuration, which may name code",
    "cls_model_config": "it names a class to read the configuration with",
    "tokenizer_config": "it names another tokenizer, which may name code",
    "lora_model_dir": "it names weights that no manifest covers",
    "datasets": "a type of data set is a module's name; the run's `label` stage makes the only one",
    "test_datasets": "a type of data set is a module's name",
    "pretraining_dataset": "a type of data set is a module's name",
    "bench_dataset": "it fetches data from elsewhere",
    "resume_from_checkpoint": "a checkpoint that nobody verified is not resumed from",
    "auto_resume_from_checkpoints": "a checkpoint that nobody verified is not resumed from",
    "output_dir": "the kit watches over the folder that it chose",
    "dataset_prepared_path": "what lies there is read as it is; the kit chose an empty folder",
}
"""Refused keys at the top of Axolotl's configuration, each with the reason."""

LOADS_CODE_ANYWHERE = {
    "trust_remote_code": "it runs Python from a model's repository",
    "auto_map": "it names Python in a model's repository",
    "custom_generate": "it names Python in a model's repository",
    "code_revision": "it names Python in a model's repository",
    "reward_funcs": "it imports functions by name",
    "use_kernels": "it downloads compiled code from the hub",
    "attn_implementation": "it may name compiled code on the hub; `model.attention` in the profile decides",
}
"""Refused keys at any depth, since some keys pass their values on to transformers."""


def refused_keys(section: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each key that would run code from elsewhere, with the reason."""
    for key, reason in LOADS_CODE.items():
        if key in section:
            yield f"{key!r} cannot be passed on: {reason}"
    yield from refused_anywhere(section)


def refused_anywhere(section: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each key, at any depth, that would make transformers run code from elsewhere."""
    for key in _nested(section):
        if reason := LOADS_CODE_ANYWHERE.get(key.lstrip("_")):
            yield f"{key!r} cannot be passed on: {reason}"


def _nested(section: dict[str, Any]) -> Iterator[str]:
    """The keys of all mappings in a section, at any depth."""
    waiting: list[Any] = [section]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            mapping = cast(dict[Any, Any], value)
            yield from (key for key in mapping if isinstance(key, str))
            waiting.extend(mapping.values())
        elif isinstance(value, list | tuple):
            waiting.extend(cast(Sequence[Any], value))
