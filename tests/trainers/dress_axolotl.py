"""A program of the sft image: Axolotl's model for a GPU configuration, at a base's true shape, without data.

Reads {config, axolotl, ranks, rows, tokens} from standard input; its last line tells what was wrapped and what trains.
4-bit weights are wrapped, but make no step: what they were packed from is data.
"""

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import bitsandbytes as bnb
import torch
import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin
from axolotl.integrations.base import PluginManager
from axolotl.loaders.adapter import load_adapter
from axolotl.loaders.patch_manager import PatchManager
from axolotl.monkeypatch.accelerate import fsdp2
from axolotl.utils.config import prepare_plugins, validate_config
from axolotl.utils.dict import DictDefault
from axolotl.utils.trainer import setup_fsdp_envs
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM


def main() -> None:
    given = json.load(sys.stdin)
    ranks = given["ranks"]
    if ranks > 1:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
        dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    settings = DictDefault(given["axolotl"])
    prepare_plugins(settings)
    machine = {"bf16": True, "fp8": True, "tf32": True, "n_gpu": ranks, "n_node": 1, "compute_capability": "sm_90"}
    cfg = validate_config(settings, capabilities=machine, env_capabilities={"torch_version": "2.13.0"})
    cfg.torch_dtype = torch.bfloat16
    shape = dict(given["config"])
    model = built(cfg, AutoConfig.for_model(shape.pop("model_type"), **shape), ranks)
    found = {
        "sharded": sorted(name for name, module in model.named_modules() if isinstance(module, FSDPModule)),
        "parameters": {name: described(parameter) for name, parameter in model.named_parameters()},
        "kernels": [key for key in cfg if key.startswith("lora_") and key.endswith("_kernel") and cfg[key]],
        "workers": cfg.dataloader_num_workers,
        "step": None if ranks > 1 or cfg.load_in_4bit else step(model, given["rows"], given["tokens"]),
    }
    print(json.dumps(found))


def built(cfg: Any, shape: Any, ranks: int) -> Any:
    """The model as Axolotl builds and wraps it, but for its data."""
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(
            shape, dtype=torch.bfloat16, attn_implementation=cfg.attn_implementation
        )
        if cfg.load_in_4bit:
            pack(model)
        PluginManager.get_instance().post_model_build(cfg, model)
        model, _ = load_adapter(model, cfg, cfg.adapter)
        PluginManager.get_instance().post_model_load(cfg, model)
    if cfg.gradient_checkpointing:
        model.gradient_checkpointing_enable(cfg.gradient_checkpointing_kwargs)
    if ranks == 1:
        return model
    setup_fsdp_envs(cfg)
    patches = PatchManager(cfg, shape)
    patches._apply_fsdp_patches()
    patches._apply_fsdp2_bnb_patches()
    plugin = FullyShardedDataParallelPlugin()
    plugin.set_mixed_precision("bf16")
    plugin.cpu_ram_efficient_loading = False  # it would hand out the first rank's weights, and there are none
    state = SimpleNamespace(fsdp_plugin=plugin, device_mesh=None)
    accelerator = SimpleNamespace(state=state, is_main_process=True, device=torch.device("cpu"))
    return fsdp2.fsdp2_prepare_model(accelerator, model)


def pack(model: Any) -> None:
    """Hold the layers' weights in 4 bits, four of them in each element of bf16, as bitsandbytes loads them."""
    for name, linear in list(model.named_modules()):
        if isinstance(linear, torch.nn.Linear) and name != "lm_head":
            ways: dict[str, Any] = {"quant_type": "nf4", "quant_storage": torch.bfloat16}
            packed = bnb.nn.Linear4bit(linear.in_features, linear.out_features, False, torch.bfloat16, **ways)
            data = torch.empty((linear.weight.numel() // 4, 1), dtype=torch.bfloat16)
            packed.weight = bnb.nn.Params4bit(data, requires_grad=False, module=packed, bnb_quantized=True, **ways)
            model.set_submodule(name, packed)


def described(parameter: Any) -> dict[str, Any]:
    """A parameter's whole shape, this rank's shard, its types, and whether it trains."""
    held = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return {
        "whole": list(parameter.shape),
        "held": list(held.shape),
        "dtype": str(parameter.dtype),
        "packed": type(getattr(parameter, "_local_tensor", parameter)).__name__ == "Params4bit",
        "trains": parameter.requires_grad,
    }


def step(model: Any, rows: int, tokens: int) -> list[str]:
    """Forward, backward and an optimizer step; the names of what got a gradient."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model.to_empty(device="cpu").train()
        optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], foreach=False)
        ids = torch.zeros((rows, tokens), dtype=torch.long)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
    return sorted(name for name, parameter in model.named_parameters() if parameter.grad is not None)


if __name__ == "__main__":
    main()
