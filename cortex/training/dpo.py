"""The DPO trainer as a program: `python -m cortex.training.dpo TASK.json`, which the dpo stage writes."""

import sys
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig, PeftModel
from pydantic import BaseModel, ConfigDict
from trl import DPOConfig, DPOTrainer

from cortex.training.callbacks import kit_callbacks
from cortex.training.models import load_model, load_tokenizer


class DpoTask(BaseModel):
    """What the stage asks of the trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder to start from: weights, or an adapter on `base`."""
    base: str | None
    attention: str
    device: str
    adapter: dict[str, Any] | None
    """Arguments of a new LoRA adapter; None trains what the folder holds."""
    dataset: str
    """A JSONL of conversations: `prompt`, `chosen`, `rejected`."""
    arguments: dict[str, Any]
    """Of `trl.DPOConfig`."""
    resume: str | None
    output: str
    """Where the trained model goes."""


def main() -> None:
    task = DpoTask.model_validate_json(Path(sys.argv[1]).read_text())
    torch.use_deterministic_algorithms(True, warn_only=True)
    model = load_model(task.model, base=task.base, device=task.device, attention=task.attention, trainable=True)
    adapter = LoraConfig(**task.adapter) if task.adapter and not isinstance(model, PeftModel) else None
    tokenizer = load_tokenizer(task.model)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(**task.arguments),
        train_dataset=load_dataset("json", data_files=task.dataset, split="train"),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=kit_callbacks(),
    )
    trainer.train(resume_from_checkpoint=task.resume)
    trainer.save_model(task.output)
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(task.output)


if __name__ == "__main__":
    main()
