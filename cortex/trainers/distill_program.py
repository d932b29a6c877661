"""The distillation trainer as a program: `python -m cortex.trainers.distill_program TASK.json`, which the stage writes.

The model samples an answer to each prompt. At each of its tokens a larger model of the same tokenizer gives its own
probabilities of the next one, and the model moves towards them (Agarwal et al., "On-Policy Distillation of Language
Models: Learning from Self-Generated Mistakes", 2024). So it learns from the teacher where its own answers lead it.
"""

import sys
from pathlib import Path

from trl import DistillationConfig

from cortex.models.loading import load_model
from cortex.trainers.distill_trainer import KitDistillationTrainer
from cortex.trainers.judged_task import JudgedTask
from cortex.trainers.ranks import leave
from cortex.trainers.trl_task import train, trainer_inputs
from cortex.trainers.vllm_sync import keep_base_unmerged


class DistillTask(JudgedTask):
    """A distillation trainer's task."""

    teacher: str
    """The folder with the teacher's weights."""


def main() -> None:
    task = DistillTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    keep_base_unmerged()
    # It stays in the host's memory until the trainer has sharded it.
    teacher = load_model(task.teacher, device=task.device, attention=task.attention, on_host=True)
    trainer = KitDistillationTrainer(
        teacher=teacher,
        domain=task.judge(),
        samples=task.sample_writer(),
        sample_steps=task.sample_steps,
        args=DistillationConfig(**task.arguments),
        **trainer_inputs(task),
    )
    train(trainer, task)


if __name__ == "__main__":
    main()
    leave()
