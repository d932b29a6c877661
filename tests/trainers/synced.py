"""GRPO as the stage starts it, on CPU processes, with a stand-in for vLLM: `torchrun ... synced.py TASK OUT`.

It writes to OUT what vLLM was sent at each sync, compared with a merge made elsewhere, what each save gathered, and how
far the base moved. With `--merging`, TRL syncs in its own way.
"""

import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

import peft.peft_model
import torch
from peft import PeftModel, get_peft_model, set_peft_model_state_dict
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule
from transformers import AutoModelForCausalLM, Trainer
from trl.generation.vllm_generation import VLLMGeneration
from vllm import LLM

from cortex.trainers import grpo_program
from tests.trainers.cpu_ranks import shard_without_a_gpu

TASK, OUT, MERGING = Path(sys.argv[1]), Path(sys.argv[2]), "--merging" in sys.argv
RANK = int(os.environ["RANK"])
BASE = json.loads(TASK.read_text(encoding="utf-8"))["base"]
found: dict[str, Any] = {"syncs": [], "saves": []}


def merged_elsewhere(model: Any) -> dict[str, torch.Tensor]:
    """The weights that vLLM ought to hold: PEFT's own merge, in float32, with the base from its folder."""
    adapter = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    config = model.peft_config["default"]
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.bfloat16).float()
    copy: Any = get_peft_model(base, config)
    set_peft_model_state_dict(copy, {name: value for name, value in adapter.items() if "lora_" in name})
    return {name: weight.to(torch.bfloat16) for name, weight in copy.merge_and_unload().state_dict().items()}


def forbid_the_first_gpu() -> None:
    """Fail where PEFT infers a device: every process would read its adapter onto that same one."""

    def infer_device() -> str:
        raise AssertionError("an adapter is read onto the machine's first GPU, by every process")

    peft.peft_model.infer_device = infer_device


def record_syncs() -> None:
    sync = VLLMGeneration.sync_weights

    @functools.wraps(sync)
    def recorded(self: VLLMGeneration) -> None:
        expected = merged_elsewhere(self.model)
        sync(self)
        sent = LLM.made[0].weights
        found["syncs"].append(
            {
                "missing": sorted(expected.keys() - sent.keys()),
                "further": sorted(sent.keys() - expected.keys()),
                "dtypes": sorted({str(weight.dtype) for weight in sent.values()}),
                "unlike": [name for name in expected if name in sent and not torch.equal(sent[name], expected[name])],
            }
        )

    VLLMGeneration.sync_weights = recorded


def record_saves() -> None:
    save = Trainer._save

    def recorded(self: Any, output_dir: str | None = None, state_dict: Any = None) -> None:
        found["saves"].append(sorted(state_dict) if state_dict is not None else None)
        save(self, output_dir, state_dict)

    Trainer._save = recorded


def whole(parameter: Any) -> torch.Tensor:
    data = parameter.detach()
    return data.full_tensor() if hasattr(data, "full_tensor") else data


def moved(model: Any) -> float:
    """The share of the base's weights that differ from its folder's."""
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.bfloat16).state_dict()
    changed = total = 0
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            original = base[name.removeprefix("base_model.model.").replace(".base_layer", "")]
            changed += int((whole(parameter) != original).sum())
            total += original.numel()
    return changed / total


def distinct_letters(prompts: Any, completions: list[Any], **_: Any) -> list[float]:
    return [len(set(completion[-1]["content"])) / 50 for completion in completions]


def main() -> None:
    shard_without_a_gpu()
    forbid_the_first_gpu()
    record_syncs()
    record_saves()
    grpo_program.reward_function = lambda *_, **__: distinct_letters
    if MERGING:
        grpo_program.keep_base_unmerged = lambda: None
    trained: list[Any] = []
    train = grpo_program.train

    def kept(trainer: Any, task: Any) -> None:
        trained.append(trainer)
        train(trainer, task)

    grpo_program.train = kept
    sys.argv = ["grpo", str(TASK)]
    grpo_program.main()
    model = trained[0].model
    found["moved"] = moved(model)
    found["deterministic"] = torch.are_deterministic_algorithms_enabled()
    found["fills memory"] = torch.utils.deterministic.fill_uninitialized_memory
    found["adapter"] = isinstance(model, PeftModel)
    found["validations"] = [entry for entry in trained[0].state.log_history if "eval_answer_loss" in entry]
    found["sharded"] = sorted(name for name, module in model.named_modules() if isinstance(module, FSDPModule))
    if RANK == 0:
        OUT.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
