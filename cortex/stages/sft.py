"""sft: Axolotl trains the base model to answer as the teacher did."""

from pathlib import Path

import yaml

from cortex.bases.base_model import base_folder
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.rules import TrainingRules
from cortex.checkpoints.supervisor import run_trainer
from cortex.checkpoints.trainer_command import AXOLOTL, distributed
from cortex.models.model_files import collect_model, lengthen_context, name_base
from cortex.models.scratch import build
from cortex.runs.context import RunContext
from cortex.runs.stage_list import model_before
from cortex.stages.teacher_prompts import check_labels
from cortex.teaching.labels import ACCEPTED, accepted_conversations
from cortex.trainers.answer_lengths import check_answer_lengths
from cortex.trainers.axolotl_config import axolotl_config, check_passthrough
from cortex.trainers.held_out import hold_out
from cortex.trainers.marked_turns import mark_last_turns


def run(context: RunContext, output: Path) -> None:
    folder = context.folder("sft")
    labels = context.artifact("label").path
    check_labels(context.profile, labels)
    base = str(_start(context, labels, output))
    check_answer_lengths(context.profile, labels, Path(base))
    sft = context.profile.sft
    if sft.axolotl:  # only then, since importing Axolotl's schema takes seconds of every restart
        check_passthrough(sft.axolotl)
    checkpoints = Checkpoints(context, "sft", keep=sft.keep_checkpoints)
    resume = checkpoints.choose()
    dataset, validation = labels / ACCEPTED, None
    if sft.turns == "last":
        dataset = mark_last_turns(dataset, folder)
    if sft.validate_steps:
        dataset, validation = hold_out(dataset, sft.validation_examples, folder)
        checkpoints.bring_best()
    config = axolotl_config(
        context.profile, base, dataset, checkpoints.saving, folder / "prepared", resume, validation=validation
    )
    path = folder / "axolotl.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = distributed(context.profile, AXOLOTL, "train", path, "--launcher", "python", gang=context.gang)
    rules = TrainingRules.of(sft, checkpoints.committed)
    run_trainer(context, checkpoints, command, sft.hang_limit, rules=rules)
    if context.leads:
        collect_model(checkpoints.saving, output / "model")
        name_base(output / "model", context)
        if sft.rope:
            lengthen_context(output / "model", sft.rope.positions)


def _start(context: RunContext, labels: Path, output: Path) -> Path:
    """The model to start from: the pretrained one, or the base, which is built if there is none to load."""
    if before := model_before(context.profile, "sft"):
        return context.artifact(before).path / "model"
    return base_folder(context) or _built_base(context, labels, output / "base")


def _built_base(context: RunContext, labels: Path, target: Path) -> Path:
    shape = context.profile.model.scratch
    assert shape is not None
    corpus = [message["content"] for messages in accepted_conversations(labels) for message in messages]
    build(shape, corpus, context.profile.seed, target)
    return target
