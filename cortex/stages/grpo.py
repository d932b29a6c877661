"""grpo: TRL samples answers to training prompts and reinforces those that the outcomes reward."""

from pathlib import Path

from cortex.domains.dataset import read_split, read_training
from cortex.domains.example_columns import read_rows
from cortex.models.conversation import write_prompts
from cortex.runs.context import RunContext
from cortex.stages.teacher_prompts import TeacherPrompts
from cortex.teaching.labels import ACCEPTED
from cortex.tracking.keeper import tracking_folder
from cortex.trainers.trl_stage import train_with_trl


def run(context: RunContext, output: Path) -> None:
    profile, grpo, folder = context.profile, context.profile.grpo, context.folder("grpo")
    assert grpo is not None
    data, labels = context.artifact("data").path, context.artifact("label").path
    dataset, validation = folder / "prompts.jsonl", None
    prompts, train = TeacherPrompts(profile), read_training(data)
    for example in read_rows(train) if prompts.guards else ():
        prompts.check_question(example, "grpo")
    write_prompts(train, dataset)
    if grpo.validate_steps:
        validation = folder / "validation.jsonl"
        write_prompts(read_split(data, "validation", grpo.validation_examples), validation)
    train_with_trl(
        context,
        "grpo",
        dataset=dataset,
        output=output / "model",
        validation=validation,
        further={
            "domain": profile.domain.model_dump(mode="json"),
            "labels": str(labels / ACCEPTED),
            "samples": str(tracking_folder(context, "grpo") / "samples"),
            "sample_count": grpo.samples,
            "sample_steps": grpo.sample_steps,
        },
    )
