"""TRL's distillation trainer with the kit's saves, its judged validations, and a teacher that is sharded, too."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from trl import DistillationTrainer
from trl.models import prepare_deepspeed

from cortex.trainers.adapter_saves import AdapterSaves
from cortex.trainers.judged_validation import Answer, JudgedValidation, Turns
from cortex.trainers.layers import name_layers_to_shard


class KitDistillationTrainer(AdapterSaves, JudgedValidation, DistillationTrainer):
    """TRL's trainer, which judges the answers that it trains on, too: an imitation may lose what the truth rewards."""

    def __init__(self, *, teacher: Any, sample_steps: int = 1, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._sample_steps = sample_steps
        self.teacher_model = self._held(teacher)

    def answered(self, rows: Sequence[Mapping[str, Any]]) -> list[Answer]:
        return self.judged(rows, self._said(self._generate([row["prompt"] for row in rows])[1]))

    def at_once(self) -> int:
        args = self.args
        return args.per_device_train_batch_size * args.gradient_accumulation_steps * self.accelerator.num_processes

    def _held(self, teacher: Any) -> Any:
        """The frozen teacher on this process's device, sharded as the student is.

        TRL 1.16 itself does not shard it under FSDP: each process would hold all of it, in the host's memory.
        """
        teacher.requires_grad_(False).eval()
        if self.is_deepspeed_enabled:
            return prepare_deepspeed(teacher, self.accelerator)
        if self.is_fsdp_enabled:
            name_layers_to_shard(teacher)
            return fsdp2_prepare_model(self.accelerator, teacher)
        return self.accelerator.prepare_model(teacher, evaluation_mode=True)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; logs the mean reward of all ranks' answers, and stores some of this rank's."""
        made = super()._generate_and_score_completions(inputs)
        tokens = zip(made["completion_ids"], made["completion_mask"].bool(), strict=True)
        judged = self.judged(inputs, self._said([ids[kept].tolist() for ids, kept in tokens]))
        rewards = torch.tensor([answer.reward for answer in judged], device=self.accelerator.device)
        self._metrics["train"]["reward"].append(self.accelerator.gather(rewards).mean().item())
        if self._samples and self.state.global_step % self._sample_steps == 0:
            self._samples.write(self.state.global_step + 1, "train", [answer.to_row() for answer in judged])
        return made

    def _said(self, completions: list[list[int]]) -> list[Turns]:
        texts = self.processing_class.batch_decode(completions, skip_special_tokens=True)
        return [[{"role": "assistant", "content": text}] for text in texts]
