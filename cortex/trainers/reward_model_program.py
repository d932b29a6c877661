"""The reward model's trainer as a program: `python -m cortex.trainers.reward_model_program TASK.json`, which the stage
reward_model writes.

The model learns to score the better answer of a pair above the worse one (Ouyang et al., "Training language models to
follow instructions with human feedback", 2022).
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed
from trl import RewardConfig, RewardTrainer

from cortex.models.loading import load_tokenizer
from cortex.models.reward_models import load_to_train
from cortex.trainers.adapter_saves import AdapterSaves
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.precision import train_in_float32
from cortex.trainers.ranks import leave
from cortex.trainers.trl_task import TrlTask, read_dataset, train


class RewardTask(TrlTask):
    """A reward model's task. The dataset has `prompt`, `chosen` and `rejected` (conversations)."""

    held_out: str
    """File for the number of held-out pairs, and of those whose better answer scores higher."""


class KitRewardTrainer(AdapterSaves, RewardTrainer):
    """TRL's trainer, with the kit's saves."""

    def count_right(self) -> dict[str, int]:
        """Held-out pairs, and those whose better answer scores higher. A collective call."""
        pairs = right = 0
        model = self.model_wrapped if self.is_fsdp_enabled else self.model
        model.eval()
        for batch in self.get_eval_dataloader():
            inputs = {name: batch[name].to(self.accelerator.device) for name in ("input_ids", "attention_mask")}
            with torch.no_grad():
                better, worse = model(**inputs).logits.squeeze(-1).chunk(2)
            found = self.accelerator.gather_for_metrics(better > worse)
            pairs, right = pairs + len(found), right + int(found.sum())
        return {"pairs": pairs, "right": right}


def main() -> None:
    task = RewardTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    config = RewardConfig(**task.arguments)
    set_seed(config.seed)  # the head is drawn as the model is loaded
    trainer: Any = KitRewardTrainer(model=_start(task), args=config, **_data(task))
    train(trainer, task)
    found = trainer.count_right()
    if trainer.is_world_process_zero():
        Path(task.held_out).write_text(json.dumps(found), encoding="utf-8")


def _start(task: RewardTask) -> Any:
    model = load_to_train(
        Path(task.model), base=task.base, device=task.device, attention=task.attention, adapter=task.adapter
    )
    if task.arguments.get("fsdp"):
        name_layers_to_shard(model)
    train_in_float32(model)
    return model


def _data(task: RewardTask) -> dict[str, Any]:
    return {
        "train_dataset": read_dataset(task.dataset),
        "eval_dataset": read_dataset(task.validation) if task.validation else None,
        "processing_class": load_tokenizer(task.model),
    }


if __name__ == "__main__":
    main()
    leave()
