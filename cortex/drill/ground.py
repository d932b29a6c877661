"""Inputs of a drilled stage: a run of the stand-in with its earlier stages done, made in seconds."""

import json
import shutil
from pathlib import Path

import polars as pl

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.dataset import read_examples, take_evenly, write_dataset
from cortex.drill.stand_in import ANSWERS, StandIn
from cortex.market.sources import open_source
from cortex.reasoning.completion import Completion
from cortex.reasoning.labels import accepted_conversations, write_labels
from cortex.reasoning.scripted_teacher import answer
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.profile import Profile
from cortex.training.trl_config import lora_arguments


def make_data(profile: Profile, folder: Path) -> Path:
    """Make the artifacts `data` and `label`, unpublished, and the spec of the model to build; returns its path."""
    data, labels = folder / "data", folder / "label"
    data.mkdir(parents=True)
    labels.mkdir()
    write_dataset(open_source(profile.data, seed=profile.seed), profile.data, profile.style, data)
    chosen = take_evenly(_train(data), ANSWERS)
    prompts = dict(zip(chosen["example_id"], chosen["prompt"], strict=True))
    answers = {key: Completion("answered", answer(prompt, profile.seed)) for key, prompt in prompts.items()}
    write_labels(prompts, answers, labels)
    spec = folder / "build.json"
    adapter = profile.model.adapter
    spec.write_text(
        json.dumps(
            {
                "corpus": [message["content"] for told in accepted_conversations(labels) for message in told],
                "seed": profile.seed,
                "base": profile.model.base,
                "model": str(folder / "model"),
                "adapter": lora_arguments(adapter) if adapter else None,
            }
        ),
        encoding="utf-8",
    )
    return spec


def enter_run(standin: StandIn, made: Path, ground: Path, run: str) -> None:
    """Publish the artifacts in `made` as the earlier stages of a run of this profile, in `ground`/bucket."""
    store = Store.open(str(ground / "bucket"))
    create_run(store, run, standin.profile, rehearsal=True)
    for stage in ("data", "label", "sft") if standin.stage == "grpo" else ("data", "label"):
        folder = ground / "making" / stage
        source = made / ("model" if stage == "sft" else stage)
        shutil.copytree(source, folder / "model" if stage == "sft" else folder)
        publish(folder, store, artifact_prefix(run, stage), kind=stage, profile=standin.profile.digest)
    with (ground / "prompts.jsonl").open("w", encoding="utf-8") as file:
        for prompt, outcome in _train(made / "data").select("prompt", "outcome").iter_rows():
            file.write(json.dumps({"prompt": [{"role": "user", "content": prompt}], "outcome": outcome}) + "\n")


def _train(data: Path) -> pl.DataFrame:
    return read_examples(data).filter(pl.col("split") == "train")
