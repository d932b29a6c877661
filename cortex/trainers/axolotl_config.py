"""A profile's SFT section as Axolotl's own configuration."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Adapter
from cortex.profiles.trainer_sections import Sft
from cortex.section import unknown_key
from cortex.trainers.zero3 import zero3_config

TRAINED = "train"
"""The field of a message that says whether it is trained on, where not all of the assistant's are."""

PLUGIN = "cortex.trainers.axolotl_plugin.CortexPlugin"


def axolotl_config(
    profile: Profile,
    base: str,
    dataset: Path,
    output: Path,
    prepared: Path,
    resume: Path | None,
    *,
    validation: Path | None = None,
) -> dict[str, Any]:
    """The content of the YAML file for `axolotl train`.

    `base` is a model's folder or hub name, `dataset` a JSONL of chat messages, `validation` one of held-out messages,
    `output` the folder for checkpoints and the final weights, `prepared` Axolotl's cache of the tokenized set, `resume`
    the checkpoint to continue from.
    """
    config: dict[str, Any] = {
        "base_model": base,
        "tokenizer_type": "AutoTokenizer",
        "model_type": "AutoModelForCausalLM",
        "trust_remote_code": False,
        "attn_implementation": profile.model.attention,
        "plugins": [PLUGIN],
        "output_dir": str(output),
        "seed": profile.seed,
        "use_tensorboard": False,
    }
    config |= (
        _configure_data(profile, dataset, prepared) | _configure_schedule(profile.sft) | _configure_hardware(profile)
    )
    if profile.model.adapter:
        config |= _configure_adapter(profile.model.adapter)
    if profile.sft.rope:
        config["model_config"] = {
            "rope_parameters": {"rope_theta": profile.sft.rope.theta, "rope_type": "default"},
            "max_position_embeddings": profile.sft.rope.positions,
        }
    if validation:
        # The kit's callback decides when to validate, so that every validated step is also saved.
        held_out = _conversations(validation, profile.sft) | {"split": "train"}
        config |= {"test_datasets": [held_out], "eval_strategy": "no"}
        config |= {"eval_sample_packing": False}
    if resume:
        config["resume_from_checkpoint"] = str(resume)
    return config | profile.sft.axolotl


def check_passthrough(keys: Iterable[str]) -> None:
    """Refuse keys of `sft.axolotl` that Axolotl does not know: it would ignore them silently.

    Raises:
        ConfigError: a key is unknown; the message names the nearest known one.
    """
    from axolotl.utils.schemas.config import AxolotlInputConfig

    known = list(AxolotlInputConfig.model_fields)
    for key in keys:
        if key not in known:
            raise ConfigError(f"sft.axolotl: {unknown_key(key, known)}")


def _configure_data(profile: Profile, dataset: Path, prepared: Path) -> dict[str, Any]:
    sft = profile.sft
    return {
        "datasets": [_conversations(dataset, sft)],
        "chat_template": "tokenizer_default",
        "dataset_prepared_path": str(prepared),
        # 0 works in the trainer's own process; every worker process would import all of Axolotl at each restart
        "dataset_num_proc": profile.hardware.threads if profile.hardware.device == "cuda" else 0,
        # By default each rank starts as many workers as there are ranks, and each prefetches 256 batches: on eight GPUs
        # 64 processes, forked from trainers that hold CUDA, only to collate tokens that are in memory already.
        "dataloader_num_workers": 0,
        "val_set_size": 0,
        "sequence_len": sft.sequence_length,
        "sample_packing": sft.sample_packing,
        "pad_to_sequence_len": sft.sample_packing,
        "excess_length_strategy": "drop",
    }


def _conversations(path: Path, sft: Sft) -> dict[str, Any]:
    marks = {"message_field_training": TRAINED} if sft.turns == "last" else {}
    return {
        "path": str(path),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
        **marks,
    }


def _configure_schedule(sft: Sft) -> dict[str, Any]:
    """The optimizer, the steps, and the saves."""
    return {
        "micro_batch_size": sft.micro_batch_size,
        "gradient_accumulation_steps": sft.gradient_accumulation,
        "max_steps": sft.max_steps,
        "num_epochs": 1000,  # max_steps decides; Axolotl stops at whichever comes first
        "optimizer": sft.optimizer,
        "learning_rate": sft.learning_rate,
        "lr_scheduler": sft.scheduler,
        "warmup_steps": sft.warmup_steps,
        "weight_decay": sft.weight_decay,
        "max_grad_norm": sft.max_grad_norm,
        "logging_steps": 1,
        "save_steps": sft.save_steps,
        "save_total_limit": sft.max_steps,  # never prune here: the committer takes over each checkpoint and prunes
        "save_safetensors": True,
        "auto_resume_from_checkpoints": False,
    }


def _configure_hardware(profile: Profile) -> dict[str, Any]:
    """The device's precision, and how its processes share the model."""
    hardware, adapter = profile.hardware, profile.model.adapter
    config = _on_gpu() if hardware.device == "cuda" else _on_cpu()
    if hardware.processes == 1:
        return config
    if hardware.device == "cpu":
        # Otherwise Axolotl puts each process's model onto the GPU of its rank, even where there is none.
        return config | {"max_memory": {"cpu": "64GiB"}}
    if hardware.sharding == "zero3":
        return config | {"deepspeed": zero3_config()}
    return config | _configure_fsdp(quantized=adapter is not None and adapter.kind == "qlora")


def _on_gpu() -> dict[str, Any]:
    return {
        "bf16": True,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }


def _on_cpu() -> dict[str, Any]:
    return {"bf16": False, "fp16": False, "tf32": False, "float32": True, "gradient_checkpointing": False}


def _configure_adapter(adapter: Adapter) -> dict[str, Any]:
    return {
        "adapter": adapter.kind,
        "load_in_4bit": adapter.kind == "qlora",
        "lora_r": adapter.r,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "lora_target_linear": True,
        # By default Axolotl turns its fused Triton kernels on wherever it finds a GPU. A rented machine would run code
        # that no rehearsal on a CPU can run, to save part of a stage of minutes. `sft.axolotl` can turn them on.
        "lora_mlp_kernel": False,
        "lora_qkv_kernel": False,
        "lora_o_kernel": False,
        "lora_embedding_kernel": False,
    }


def _configure_fsdp(*, quantized: bool) -> dict[str, Any]:
    return {
        "fsdp_version": 2,
        "fsdp_config": {
            "offload_params": False,
            # with 4-bit weights, loading on the first rank only deadlocks: the other ranks wait for their shards
            "cpu_ram_efficient_loading": not quantized,
            # wraps the classes that the model itself names: see cortex/trainers/layers.py
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "SHARDED_STATE_DICT",
            "final_state_dict_type": "FULL_STATE_DICT",
            "reshard_after_forward": True,
        },
    }
