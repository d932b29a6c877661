"""grpo: TRL samples answers to training prompts and reinforces those that the outcomes reward."""

import json
from pathlib import Path

import polars as pl

from cortex.dataset import read_examples, take_evenly
from cortex.reasoning.labels import vocabulary
from cortex.runs.context import RunContext
from cortex.runs.stages import before_grpo
from cortex.training.tracking.keeper import tracking_folder
from cortex.training.trl_stage import train_with_trl


def run(context: RunContext, output: Path) -> None:
    profile, folder = context.profile, context.folder("grpo")
    examples = read_examples(context.artifact("data").path)
    dataset, validation = folder / "prompts.jsonl", None
    write_prompts(examples.filter(pl.col("split") == "train"), dataset)
    if profile.grpo.validate_steps:
        validation = folder / "validation.jsonl"
        held_out = examples.filter(pl.col("split") == "validation")
        write_prompts(take_evenly(held_out, profile.grpo.validation_examples), validation)
    train_with_trl(
        context,
        "grpo",
        after=before_grpo(profile),
        dataset=dataset,
        output=output / "model",
        validation=validation,
        further={
            "vocabulary": vocabulary(context.artifact("label").path),
            "rewards": profile.grpo.rewards.model_dump(),
            "samples": str(tracking_folder(context, "grpo") / "samples"),
            "sample_count": profile.grpo.samples,
            "sample_steps": profile.grpo.sample_steps,
        },
    )


def write_prompts(examples: pl.DataFrame, path: Path) -> None:
    """Write prompts as conversations, with their outcomes, one per line."""
    with path.open("w", encoding="utf-8") as file:
        for prompt, outcome in examples.select("prompt", "outcome").iter_rows():
            file.write(json.dumps({"prompt": [{"role": "user", "content": prompt}], "outcome": outcome}) + "\n")
