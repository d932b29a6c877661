"""Stages that train on a model's own answers to the training prompts, which the domain judges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cortex.domains.dataset import read_split, read_training
from cortex.domains.example_columns import read_rows
from cortex.models.conversation import write_prompts
from cortex.profiles.distill_section import Distill
from cortex.profiles.trainer_sections import Grpo
from cortex.runs.context import RunContext
from cortex.stages.teacher_prompts import TeacherPrompts
from cortex.teaching.labels import ACCEPTED
from cortex.tracking.keeper import tracking_folder
from cortex.trainers.trl_stage import train_with_trl


def train_on_answers(
    context: RunContext, stage: Literal["distill", "grpo"], output: Path, further: Mapping[str, Any] | None = None
) -> None:
    """Write the prompts of training and validation, and train on the answers that the model samples to them.

    `further` is what the trainer's own task holds besides `judged_task.JudgedTask`.
    """
    profile, folder = context.profile, context.folder(stage)
    section: Distill | Grpo | None = getattr(profile, stage)
    assert section is not None
    data, labels = context.artifact("data").path, context.artifact("label").path
    dataset, validation = folder / "prompts.jsonl", None
    prompts, train = TeacherPrompts(profile), read_training(data)
    for example in read_rows(train) if prompts.guards else ():
        prompts.check_question(example, stage)
    write_prompts(train, dataset)
    if section.validate_steps:
        validation = folder / "validation.jsonl"
        write_prompts(read_split(data, "validation", section.validation_examples), validation)
    judging = {
        "domain": profile.domain.model_dump(mode="json"),
        "labels": str(labels / ACCEPTED),
        "samples": str(tracking_folder(context, stage) / "samples"),
        "sample_count": section.samples,
        "sample_steps": section.sample_steps,
    }
    train_with_trl(
        context,
        stage,
        dataset=dataset,
        output=output / "model",
        validation=validation,
        further={**judging, **(further or {})},
    )
