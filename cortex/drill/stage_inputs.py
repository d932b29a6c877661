"""Inputs of a drilled stage: a run of the stand-in with its earlier stages done, made in seconds."""

import json
import shutil
from pathlib import Path

from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split, write_dataset
from cortex.domains.example_columns import read_rows
from cortex.drill.stand_in import ANSWERS, StandIn
from cortex.models.conversation import write_prompts
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.settings import Settings
from cortex.teaching.completion import Completion
from cortex.teaching.labels import accepted_conversations, write_labels
from cortex.trainers.trl_config import lora_arguments


def make_data(profile: Profile, folder: Path) -> Path:
    """Make the artifacts `data` and `label`, unpublished, and the spec of the model to build; returns its path."""
    data, labels = folder / "data", folder / "label"
    data.mkdir(parents=True)
    labels.mkdir()
    domain = profile.domain
    write_dataset(domain, profile.seed, Settings(), data)
    questions = list(read_rows(read_split(data, "train", ANSWERS)))
    answers = {one.id: Completion("answered", domain.script(one, profile.seed)) for one in questions}
    write_labels(domain, questions, answers, labels)
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
    store = open_store(str(ground / "bucket"))
    create_run(store, run, standin.profile, rehearsal=True)
    for stage in ("data", "label", "sft") if standin.stage == "grpo" else ("data", "label"):
        folder = ground / "making" / stage
        source = made / ("model" if stage == "sft" else stage)
        shutil.copytree(source, folder / "model" if stage == "sft" else folder)
        publish(folder, store, artifact_prefix(run, stage), kind=stage, profile=standin.profile.digest)
    write_prompts(read_split(made / "data", "train"), ground / "prompts.jsonl")
