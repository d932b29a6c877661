"""A program of the grpo image: which modules of several families does Accelerate shard, where no class is named?

Its last line maps each family to the sharded modules' names, and to the classes that were found.
"""

import json
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from peft import LoraConfig, get_peft_model
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM

FAMILIES = ("gemma2", "gemma3_text", "llama", "mistral", "mixtral", "phi3", "qwen2", "qwen3")
"""By the `model_type` of their `config.json`."""

SMALL = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 3, "vocab_size": 128}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0}


def sharded(family: str) -> dict[str, list[str]]:
    from cortex.trainers.layers import name_layers_to_shard

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(family, **SMALL, **HEADS), dtype=torch.bfloat16
        )
        classes = name_layers_to_shard(model)
        model = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="TRANSFORMER_BASED_WRAP")
    accelerator: Any = SimpleNamespace(
        state=SimpleNamespace(fsdp_plugin=plugin),
        mixed_precision="bf16",
        is_main_process=False,
        device=torch.device("cpu"),
    )
    model = fsdp2_prepare_model(accelerator, model)
    return {
        "classes": classes,
        "modules": [name for name, module in model.named_modules() if isinstance(module, FSDPModule)],
    }


def main() -> None:
    dist.init_process_group("fake", rank=0, world_size=8, store=FakeStore())
    print(json.dumps({family: sharded(family) for family in FAMILIES}))


if __name__ == "__main__":
    main()
