"""A program of the grpo image: TRL's trainer at a base's true shape, on tensors without data and ranks of no machine.

Reads {stage, config, adapter, arguments, ranks, rows, tokens, scored} from standard input; its last line tells what was
wrapped, what trains, what a save gathers, and what vLLM is sent.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.distributed.fsdp import FSDPModule
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoConfig, AutoModelForCausalLM
from trl import DPOConfig, GRPOConfig

from cortex.domains.markets.domain import Markets
from cortex.models.loading import load_tokenizer
from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel
from cortex.trainers.dpo_program import KitDPOTrainer
from cortex.trainers.grpo_trainer import KitGRPOTrainer
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.vllm_sync import keep_base_unmerged
from tests.trainers.cpu_ranks import shard_without_a_gpu


def main() -> None:
    given = json.load(sys.stdin)
    ranks = given["ranks"]
    if ranks > 1:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
        dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    shard_without_a_gpu()
    # DPO adds its reference adapter, and would move it to its device; PyTorch cannot swap these tensors' insides.
    torch.nn.Module.to = lambda module, *_, **__: module
    keep_base_unmerged()
    with tempfile.TemporaryDirectory() as folder:
        build(ScratchModel(), ["flow whales up"], 0, Path(folder))
        tokenizer = load_tokenizer(folder)
        model = empty_model(given["config"], given["adapter"])
        with FakeTensorMode(allow_non_fake_inputs=True):
            found = rehearse(given, model.to_empty(device="cpu"), tokenizer, Path(folder))
    print(json.dumps(found))


def rehearse(given: dict[str, Any], model: Any, tokenizer: Any, folder: Path) -> dict[str, Any]:
    arguments = given["arguments"] | {"use_cpu": True, "output_dir": str(folder / "out")}
    if arguments.get("fsdp"):
        name_layers_to_shard(model)
    if given["stage"] == "grpo":
        rows = Dataset.from_list([{"prompt": [{"role": "user", "content": "flow"}]}] * 8)
        trainer: Any = KitGRPOTrainer(
            domain=Markets(),
            samples=None,
            model=model,
            reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
            args=GRPOConfig(**arguments),
            train_dataset=rows,
            processing_class=tokenizer,
        )
    else:
        turn = {"prompt": [{"role": "user", "content": "flow"}]}
        turn |= {side: [{"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
        rows = Dataset.from_list([turn] * 8)
        trainer = KitDPOTrainer(
            model=model, args=DPOConfig(**arguments), train_dataset=rows, processing_class=tokenizer
        )
    trainer.create_optimizer()
    with unset_fake_temporarily():  # the mesh of ranks is real
        prepared, _ = trainer.accelerator.prepare(trainer.model, trainer.optimizer)
    trainer.model_wrapped, trainer.optimizer = prepared, None
    trainer.create_optimizer()  # anew: Accelerate finds a sharded parameter by its address, and fake ones have none
    return {
        "sharded": sorted(name for name, module in prepared.named_modules() if isinstance(module, FSDPModule)),
        "parameters": {name: described(parameter) for name, parameter in prepared.named_parameters()},
        "step": step(trainer, given["rows"], given["tokens"], given["scored"]),
        "saved": saved(trainer),
        "sent": sent(trainer) if given["stage"] == "grpo" and arguments["use_vllm"] else None,
    }


def described(parameter: Any) -> dict[str, Any]:
    """A parameter's whole shape, this rank's shard, its type, and whether it trains."""
    held = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return {
        "whole": list(parameter.shape),
        "held": list(held.shape),
        "dtype": str(parameter.dtype),
        "trains": parameter.requires_grad,
    }


def step(trainer: Any, rows: int, tokens: int, scored: int) -> list[str]:
    """One optimizer step on rows of so many tokens, of which the last `scored` are answers; what got a gradient."""
    ids = torch.zeros((rows, tokens), dtype=torch.long)
    mask = torch.ones_like(ids)
    with trainer.compute_loss_context_manager():
        if isinstance(trainer, KitGRPOTrainer):
            scores = trainer._get_per_token_logps_and_entropies(trainer.model_wrapped, ids, mask, scored)[0]
            assert scores.shape == (rows, scored)
            loss = -scores.mean()
        else:
            loss = trainer.model_wrapped(input_ids=ids, attention_mask=mask, labels=ids).loss
    trainer.accelerator.backward(loss)
    with_gradient = sorted(name for name, parameter in trainer.model.named_parameters() if parameter.grad is not None)
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.args.max_grad_norm, foreach=False)
    trainer.optimizer.step()
    return with_gradient


def saved(trainer: Any) -> dict[str, Any]:
    """Tensors that a save writes on rank 0: the adapter if there is one, else the model."""
    handed: list[Any] = []
    trainer._save = lambda _output, state_dict=None: handed.append(state_dict or trainer.model.state_dict())
    trainer.save_model()
    (gathered,) = handed
    if isinstance(trainer.model, PeftModel):
        assert not trainer.is_fsdp_enabled or all("lora_" in name for name in gathered), "the base is gathered"
        gathered = get_peft_model_state_dict(trainer.model, gathered, save_embedding_layers=False)
    return {name: [list(tensor.shape), str(tensor.dtype)] for name, tensor in gathered.items()}


def sent(trainer: Any) -> dict[str, Any]:
    """The tensors that a sync sends vLLM."""
    names = trainer.vllm_generation._iter_named_params()
    return {name: [list(tensor.shape), str(tensor.dtype)] for name, tensor in names}


def empty_model(config: dict[str, Any], adapter: dict[str, Any] | None) -> Any:
    """A base of this shape in bf16, with an adapter if it has one, as the stage loads them, but without data."""
    settings = dict(config)
    shape = AutoConfig.for_model(settings.pop("model_type"), **settings)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16, attn_implementation="sdpa")
        if adapter:
            model = get_peft_model(model, LoraConfig(**adapter, init_lora_weights=False))
    return model


if __name__ == "__main__":
    main()
