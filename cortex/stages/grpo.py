"""grpo: TRL samples answers to training prompts and reinforces what the outcomes paid for."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl

from cortex.dataset import read_examples
from cortex.reasoning.labels import accepted_conversations
from cortex.runs.context import RunContext
from cortex.runs.profile import Adapter
from cortex.runs.stages import before_grpo
from cortex.training.launch import distributed, resume_point, run_trainer
from cortex.training.trl_config import grpo_arguments
from cortex.training.weights import collect_model


def run(context: RunContext, output: Path) -> None:
    profile, folder = context.profile, context.folder("grpo")
    dataset = folder / "prompts.jsonl"
    train = read_examples(context.artifact("data").path).filter(pl.col("split") == "train")
    write_prompts(train, dataset)
    checkpoints = folder / "checkpoints"
    resume = resume_point(context, "grpo", checkpoints)
    task = {
        **starting_model(context, before_grpo(profile)),
        "dataset": str(dataset),
        "vocabulary": vocabulary(context.artifact("label").path),
        "rewards": profile.grpo.rewards.model_dump(),
        "arguments": grpo_arguments(profile, checkpoints),
        "resume": str(resume) if resume else None,
        "output": str(folder / "trained"),
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task))
    run_trainer(context, "grpo", distributed(profile, "cortex.training.grpo", path))
    collect_model(folder / "trained", output / "model")


def starting_model(context: RunContext, stage: str) -> dict[str, Any]:
    """What a TRL trainer is told of the model that it continues: that of an earlier stage."""
    profile = context.profile
    return {
        "model": str(context.artifact(stage).path / "model"),
        "base": profile.model.base,
        "attention": profile.model.attention,
        "device": profile.hardware.device,
        "adapter": lora_arguments(profile.model.adapter) if profile.model.adapter else None,
    }


def lora_arguments(adapter: Adapter) -> dict[str, Any]:
    """Keyword arguments of `peft.LoraConfig`."""
    return {
        "r": adapter.r,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
    }


def write_prompts(examples: pl.DataFrame, path: Path) -> None:
    """Conversations and outcomes, one a line."""
    with path.open("w") as file:
        for prompt, outcome in examples.select("prompt", "outcome").iter_rows():
            file.write(json.dumps({"prompt": [{"role": "user", "content": prompt}], "outcome": outcome}) + "\n")


def vocabulary(labels: Path) -> list[str]:
    """The words of all reasoning that was fit to imitate."""
    reasoning = (messages[-1]["content"].partition("</think>")[0] for messages in accepted_conversations(labels))
    return sorted({word.lower() for text in reasoning for word in re.findall(r"[A-Za-z]+", text)})
