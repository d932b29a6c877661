"""The GRPO trainer as a program: `python -m cortex.training.grpo TASK.json`, which the grpo stage writes.

TRL samples a group of answers to each prompt; each is paid by `cortex.reasoning.rewards` once the outcome is known, and
what pays above its group's mean is made likelier (Shao et al., "DeepSeekMath", 2024).
"""

import sys
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig, PeftModel
from pydantic import BaseModel, ConfigDict
from trl import GRPOConfig, GRPOTrainer

from cortex.reasoning.rewards import Reward, RewardWeights, reward
from cortex.training.callbacks import kit_callbacks
from cortex.training.models import load_model, load_tokenizer


class GrpoTask(BaseModel):
    """What the stage asks of the trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder to start from: weights, or an adapter on `base`."""
    base: str | None
    attention: str
    device: str
    adapter: dict[str, Any] | None
    """Arguments of a new LoRA adapter; None trains what the folder holds."""
    dataset: str
    """A JSONL of `prompt` (a conversation) and `outcome` (a fraction)."""
    vocabulary: list[str]
    """Words that count as spelled right."""
    rewards: RewardWeights
    arguments: dict[str, Any]
    """Of `trl.GRPOConfig`."""
    resume: str | None
    output: str
    """Where the trained model goes."""


def reward_function(weights: RewardWeights, vocabulary: frozenset[str]) -> Any:
    """TRL's reward function: conversations and the outcome column in, weighted rewards out."""

    def paid(prompts: list[Any], completions: list[Any], outcome: list[float], **context: Any) -> list[float]:
        parts = [
            reward(completion[-1]["content"], prompt[-1]["content"], result, weights, vocabulary)
            for prompt, completion, result in zip(prompts, completions, outcome, strict=True)
        ]
        log = context.get("log_metric")
        if log:
            for name in Reward.__dataclass_fields__:
                log(f"reward/{name}", sum(getattr(part, name) for part in parts) / len(parts))
        return [part.total(weights) for part in parts]

    return paid


def main() -> None:
    task = GrpoTask.model_validate_json(Path(sys.argv[1]).read_text())
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = load_model(task.model, base=task.base, device=task.device, attention=task.attention, trainable=True)
    adapter = LoraConfig(**task.adapter) if task.adapter and not isinstance(model, PeftModel) else None
    tokenizer = load_tokenizer(task.model)
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[reward_function(task.rewards, frozenset(task.vocabulary))],
        args=GRPOConfig(**task.arguments),
        train_dataset=load_dataset("json", data_files=task.dataset, split="train"),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=kit_callbacks(),
    )
    trainer.train(resume_from_checkpoint=task.resume)
    trainer.save_model(task.output)
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(task.output)


if __name__ == "__main__":
    main()
