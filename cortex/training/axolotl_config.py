"""A profile's SFT section as Axolotl's own configuration."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cortex.errors import ConfigError
from cortex.runs.profile import Profile
from cortex.runs.profile_sections import Adapter
from cortex.section import unknown_key
from cortex.training.zero3 import zero3_config

PLUGIN = "cortex.training.axolotl_plugin.CortexPlugin"


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
    """What the YAML given to `axolotl train` holds.

    `base` is a model's folder or hub name, `dataset` a JSONL of chat messages, `validation` one of held-out messages,
    `output` the folder for checkpoints and the final weights, `prepared` Axolotl's cache of the tokenized set, `resume`
    the checkpoint to continue from.
    """
    sft = profile.sft
    config: dict[str, Any] = {
        "base_model": base,
        "tokenizer_type": "AutoTokenizer",
        "model_type": "AutoModelForCausalLM",
        "trust_remote_code": False,
        "plugins": [PLUGIN],
        "datasets": [_conversations(dataset)],
        "chat_template": "tokenizer_default",
        "dataset_prepared_path": str(prepared),
        # 0 is the trainer's own process; each other one would first import all of Axolotl, at every restart
        "dataset_num_proc": profile.hardware.threads if profile.hardware.device == "cuda" else 0,
        # Left out, each rank starts as many as there are ranks, which prefetch 256 batches each: 64 processes on eight
        # GPUs, forked from trainers that hold CUDA, to put together tokens that are there already.
        "dataloader_num_workers": 0,
        "val_set_size": 0,
        "output_dir": str(output),
        "sequence_len": sft.sequence_length,
        "sample_packing": sft.sample_packing,
        "pad_to_sequence_len": sft.sample_packing,
        "excess_length_strategy": "drop",
        "attn_implementation": profile.model.attention,
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
        "save_total_limit": sft.max_steps,  # the committer takes each one over, and prunes
        "save_safetensors": True,
        "auto_resume_from_checkpoints": False,
        "seed": profile.seed,
        "use_tensorboard": False,
    }
    config |= _on_gpu() if profile.hardware.device == "cuda" else _on_cpu()
    if profile.model.adapter:
        config |= _adapter(profile.model.adapter)
    if profile.hardware.processes > 1 and profile.hardware.device == "cpu":
        # Else Axolotl puts each process's model onto the GPU of its number, whether or not there is one.
        config["max_memory"] = {"cpu": "64GiB"}
    elif profile.hardware.processes > 1 and profile.hardware.sharding == "zero3":
        config["deepspeed"] = zero3_config()
    elif profile.hardware.processes > 1:
        config |= _sharded(quantized=profile.model.adapter is not None and profile.model.adapter.kind == "qlora")
    if validation:
        # The kit's callback says when, so that the validated steps are steps that are saved.
        config |= {"test_datasets": [_conversations(validation) | {"split": "train"}], "eval_strategy": "no"}
        config |= {"eval_sample_packing": False}
    if resume:
        config["resume_from_checkpoint"] = str(resume)
    return config | sft.axolotl


def _conversations(path: Path) -> dict[str, Any]:
    return {
        "path": str(path),
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }


def check_passthrough(keys: Iterable[str]) -> None:
    """Refuse a key of `sft.axolotl` that Axolotl does not know, which it would itself let pass in silence.

    Raises:
        ConfigError: naming the nearest key that there is.
    """
    from axolotl.utils.schemas.config import AxolotlInputConfig

    known = list(AxolotlInputConfig.model_fields)
    for key in keys:
        if key not in known:
            raise ConfigError(f"sft.axolotl: {unknown_key(key, known)}")


def _on_gpu() -> dict[str, Any]:
    return {
        "bf16": True,
        "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }


def _on_cpu() -> dict[str, Any]:
    return {"bf16": False, "fp16": False, "tf32": False, "float32": True, "gradient_checkpointing": False}


def _adapter(adapter: Adapter) -> dict[str, Any]:
    return {
        "adapter": adapter.kind,
        "load_in_4bit": adapter.kind == "qlora",
        "lora_r": adapter.r,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "lora_target_linear": True,
        # Left out, Axolotl turns its fused Triton kernels on wherever it finds a GPU: the paid machine would then train
        # by code that no rehearsal on a CPU can run, to save a part of a stage of minutes. `sft.axolotl` turns them on.
        "lora_mlp_kernel": False,
        "lora_qkv_kernel": False,
        "lora_o_kernel": False,
        "lora_embedding_kernel": False,
    }


def _sharded(*, quantized: bool) -> dict[str, Any]:
    return {
        "fsdp_version": 2,
        "fsdp_config": {
            "offload_params": False,
            # with 4-bit weights, loading on the first rank alone deadlocks while the others wait for their shards
            "cpu_ram_efficient_loading": not quantized,
            # by the classes that the model itself names: see cortex/training/layers.py
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "SHARDED_STATE_DICT",
            "final_state_dict_type": "FULL_STATE_DICT",
            "reshard_after_forward": True,
        },
    }
