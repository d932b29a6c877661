"""grpo: TRL samples answers to training prompts and reinforces what the outcomes paid for."""

import json
from pathlib import Path

import polars as pl

from cortex.dataset import read_examples
from cortex.reasoning.labels import vocabulary
from cortex.runs.context import RunContext
from cortex.runs.stages import before_grpo
from cortex.training.trl_stage import train_with_trl


def run(context: RunContext, output: Path) -> None:
    profile = context.profile
    dataset = context.folder("grpo") / "prompts.jsonl"
    write_prompts(read_examples(context.artifact("data").path).filter(pl.col("split") == "train"), dataset)
    train_with_trl(
        context,
        "grpo",
        after=before_grpo(profile),
        dataset=dataset,
        output=output / "model",
        further={
            "vocabulary": vocabulary(context.artifact("label").path),
            "rewards": profile.grpo.rewards.model_dump(),
        },
    )


def write_prompts(examples: pl.DataFrame, path: Path) -> None:
    """Conversations and outcomes, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for prompt, outcome in examples.select("prompt", "outcome").iter_rows():
            file.write(json.dumps({"prompt": [{"role": "user", "content": prompt}], "outcome": outcome}) + "\n")
