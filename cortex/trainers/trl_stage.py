"""Training with TRL: a stage writes a task, runs the trainer as a program, and collects the trained model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortex.bases.base_model import base_folder
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.rules import TrainingRules
from cortex.checkpoints.supervisor import run_trainer
from cortex.checkpoints.trainer_command import distributed
from cortex.models.model_files import collect_model, name_base
from cortex.profiles.profile import Profile
from cortex.profiles.trl_passthrough import TrlStage
from cortex.runs.context import RunContext
from cortex.runs.stage_list import model_before
from cortex.trainers.trl_config import ARGUMENTS, lora_arguments


def train_with_trl(
    context: RunContext,
    stage: TrlStage,
    *,
    dataset: Path,
    output: Path,
    validation: Path | None = None,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Train on `dataset` from the model of the stage before, resuming where an earlier attempt stopped.

    `validation` holds the held-out examples, where the profile validates. The model goes to `output`; `further` is what
    the trainer's own task holds besides `trl_task.TrlTask`.
    """
    profile, folder = context.profile, context.folder(stage)
    section = getattr(profile, stage)
    base, after = base_folder(context), model_before(profile, stage)
    assert after, f"{stage} follows another training"
    checkpoints, trained = Checkpoints(context, stage, keep=section.keep_checkpoints), folder / "trained"
    resume = checkpoints.choose()
    rules = TrainingRules.of(section, checkpoints.committed)
    if validation:
        checkpoints.bring_best()
    task = {
        "model": str(context.artifact(after).path / "model"),
        "base": str(base) if base else None,
        "attention": profile.model.attention,
        "device": profile.hardware.device,
        "adapter": lora_arguments(profile.model.adapter) if profile.model.adapter else None,
        "dataset": str(dataset),
        "validation": str(validation) if validation else None,
        "arguments": ARGUMENTS[stage](profile, checkpoints.saving),
        "resume": str(resume) if resume else None,
        "output": str(trained),
        **(further or {}),
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    command = distributed(profile, f"cortex.trainers.{_program(profile, stage)}", path, gang=context.gang)
    run_trainer(context, checkpoints, command, section.hang_limit, rules=rules)
    if context.leads:
        collect_model(trained, output)
        name_base(output, context)


def _program(profile: Profile, stage: TrlStage) -> str:
    """The module of a stage's trainer."""
    unpaired = stage == "dpo" and profile.dpo and profile.dpo.unpaired
    return "kto_program" if unpaired else f"{stage}_program"
