"""sft: Axolotl trains the base model to answer as the teacher did."""

import sys
from pathlib import Path

import yaml

from cortex.reasoning.labels import ACCEPTED, accepted_conversations
from cortex.runs.context import RunContext
from cortex.training.axolotl_config import axolotl_config, check_passthrough
from cortex.training.launch import resume_point, run_trainer
from cortex.training.scratch import build
from cortex.training.weights import collect_model


def run(context: RunContext, output: Path) -> None:
    folder = context.folder("sft")
    labels = context.artifact("label").path
    base = context.profile.model.base or str(_built_base(context, labels, output / "base"))
    checkpoints = folder / "checkpoints"
    resume = resume_point(context, "sft", checkpoints)
    check_passthrough(context.profile.sft.axolotl)
    config = axolotl_config(context.profile, base, labels / ACCEPTED, checkpoints, folder / "prepared", resume)
    path = folder / "axolotl.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    run_trainer(context, "sft", axolotl_command(path, context.profile.hardware.gpus))
    collect_model(checkpoints, output / "model")


def axolotl_command(config: Path, gpus: int) -> list[str | Path]:
    """Axolotl's own command line, on every GPU of the machine."""
    command: list[str | Path] = [Path(sys.executable).with_name("axolotl"), "train", config]
    if gpus == 1:
        return [*command, "--launcher", "python"]
    return [*command, "--launcher", "torchrun", "--", f"--nproc-per-node={gpus}"]


def _built_base(context: RunContext, labels: Path, target: Path) -> Path:
    shape = context.profile.model.scratch
    assert shape is not None
    corpus = [message["content"] for messages in accepted_conversations(labels) for message in messages]
    build(shape, corpus, context.profile.seed, target)
    return target
