"""Weights that GRPO sends to vLLM: base plus adapter, merged tensor by tensor, and never written into the base.

TRL 1.16 merges the adapter into the base's own bf16 weights before each sync, and subtracts it again afterwards
(`VLLMGeneration._iter_named_params`, huggingface/trl#6688). Both round, so the frozen base drifts with every sync, and
returns to its original values when a resumed run reads it again. Here each merged tensor is a new one, made in float32.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
import trl
from accelerate.utils import is_peft_model
from peft.tuners.lora import Linear
from peft.tuners.tuners_utils import BaseTunerLayer
from trl.generation.vllm_generation import VLLMGeneration

from cortex.errors import ConfigError

NamedTensors = Iterator[tuple[str, torch.Tensor]]


def keep_base_unmerged() -> None:
    """Have TRL's sync with vLLM send `merged_tensors`, for every model with an adapter.

    Raises:
        ConfigError: the installed TRL syncs in another way than the method replaced here.
    """
    original = VLLMGeneration._iter_named_params  # pyright: ignore[reportPrivateUsage]
    if original is not _iter_named_params:
        check_replaced(original, VLLMGeneration.sync_weights)
        VLLMGeneration._iter_named_params = _iter_named_params
        _ORIGINAL.append(original)


def check_replaced(iterate: Callable[..., Any], sync: Callable[..., Any]) -> None:
    """Check that TRL's methods are like those that this module was written for.

    Raises:
        ConfigError: they take other arguments, or no longer merge the adapter into the base.
    """
    facts = {
        "_iter_named_params takes no argument": list(inspect.signature(iterate).parameters) == ["self"],
        "_iter_named_params yields tensor by tensor": inspect.isgeneratorfunction(iterate),
        "_iter_named_params merges the adapter into the base": {"merge_adapter", "unmerge_adapter"} <= _uses(iterate),
        "sync_weights sends what that yields": "_iter_named_params" in _uses(sync),
    }
    for fact, holds in facts.items():
        if not holds:
            raise ConfigError(
                f"TRL {trl.__version__}: it is not true any more that {fact}. cortex/trainers/vllm_sync.py takes its "
                "place, to keep the base's bits: adapt it to this version, or go back to the one in images/grpo"
            )


def merged_tensors(generation: VLLMGeneration) -> NamedTensors:
    """Each weight of the model under its name in vLLM, whole, with the active adapters added in float32.

    Gathering a sharded tensor is collective: every rank has to iterate to the end.

    Raises:
        ConfigError: an adapter changes more than a layer's weight, so that base plus delta would be another model.
    """
    model: Any = generation.model
    layers = {name: module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
    check_adapters(layers)
    for name, parameter in model.named_parameters():
        if model.prefix in name or _is_inactive(name, model.active_adapters):
            continue
        layer: Any = layers.get(name.removesuffix(".base_layer.weight"))
        adapters: list[str] = [one for one in layer.active_adapters if one in layer.lora_A] if layer else []
        factors = [part[one].weight for one in adapters for part in (layer.lora_A, layer.lora_B)]
        with generation._dist.gather_params([parameter, *factors]):  # pyright: ignore[reportPrivateUsage]
            yield _vllm_name(generation, name), _merged(generation, parameter, layer, adapters)


def check_adapters(layers: dict[str, BaseTunerLayer]) -> None:
    """Refuse adapters that are more than a product of two matrices added to a linear layer's weight.

    Raises:
        ConfigError: naming the first such layer.
    """
    for name, layer in layers.items():
        for adapter in layer.active_adapters:
            more = (
                f"a {type(layer).__module__}.{type(layer).__name__}"
                if not isinstance(layer, Linear)
                else "a variant of LoRA, such as DoRA"
                if adapter in layer.lora_variant
                else "a bias"
                if layer.lora_bias.get(adapter)
                else None
            )
            if more:
                raise ConfigError(
                    f"{name}: its adapter is {more}, which cannot be sent to vLLM as base plus delta: train a plain "
                    "LoRA on linear layers, or leave grpo.vllm out"
                )


def _uses(function: Callable[..., Any]) -> set[str]:
    """The names of attributes and globals in a function's code."""
    return set(inspect.unwrap(function).__code__.co_names)


_ORIGINAL: list[Callable[[VLLMGeneration], NamedTensors]] = []


def _iter_named_params(self: VLLMGeneration) -> NamedTensors:
    """TRL's method of this name; without an adapter nothing is merged, and TRL's own is right."""
    yield from merged_tensors(self) if is_peft_model(self.model) else _ORIGINAL[0](self)


def _merged(generation: VLLMGeneration, parameter: torch.Tensor, layer: Any, adapters: list[str]) -> torch.Tensor:
    # Under autocast the product would be computed in bf16, whose rounding would lose the adapter's small updates.
    with torch.no_grad(), torch.autocast(generation.accelerator.device.type, enabled=False):
        weight = _whole(generation, parameter)
        if not adapters:
            return weight
        merged = weight.to(torch.float32, copy=True)
        for adapter in adapters:
            down, up = (_whole(generation, part[adapter].weight).float() for part in (layer.lora_A, layer.lora_B))
            delta = up @ down
            merged += (delta.T if layer.fan_in_fan_out else delta).mul_(layer.scaling[adapter])
        return merged.to(weight.dtype)


def _whole(generation: VLLMGeneration, parameter: torch.Tensor) -> torch.Tensor:
    """The whole of a tensor that FSDP2 may have sharded, on the device that trains."""
    tensor: Any = parameter.data
    if tensor.is_cpu:  # offloaded: a GPU collective cannot gather CPU tensors
        tensor = tensor.to(generation.accelerator.device)
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _is_inactive(name: str, adapters: list[str]) -> bool:
    """True for a weight that an adapter replaces in full, and for a weight of an inactive adapter."""
    _, wrapped, inside = name.partition(".modules_to_save.")
    return ".original_module." in name or (bool(wrapped) and inside.split(".")[0] not in adapters)


def _vllm_name(generation: VLLMGeneration, name: str) -> str:
    plain = re.sub(r"\.modules_to_save\.[^.]+", "", name.removeprefix("base_model.model.").replace(".base_layer", ""))
    return generation._fix_param_name_to_vllm(plain)  # pyright: ignore[reportPrivateUsage]
