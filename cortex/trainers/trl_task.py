"""Common parts of the TRL trainer programs: reading the task, loading the model, training and ending."""

from typing import Any

import torch
from datasets import load_dataset
from peft import LoraConfig, PeftModel
from pydantic import BaseModel, ConfigDict

from cortex.models.loading import load_model, load_tokenizer
from cortex.trainers.callbacks import kit_callbacks
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.precision import train_in_float32


class TrlTask(BaseModel):
    """A stage's task for its trainer, as a JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder to start from: weights, or an adapter on `base`."""
    base: str | None
    attention: str
    device: str
    adapter: dict[str, Any] | None
    """Arguments of a new LoRA adapter; None trains the weights or adapter in the folder."""
    dataset: str
    """A JSONL file with the columns that the trainer reads."""
    validation: str | None = None
    """The same for held-out examples; None without validations."""
    arguments: dict[str, Any]
    """Arguments of the trainer's own configuration class."""
    resume: str | None
    """The checkpoint to continue from."""
    output: str
    """Folder for the trained model."""


def trainer_inputs(task: TrlTask) -> dict[str, Any]:
    """The keyword arguments that every TRL trainer takes alike."""
    model = load_model(task.model, base=task.base, device=task.device, attention=task.attention, trainable=True)
    if task.arguments.get("fsdp"):
        name_layers_to_shard(model)
    new_adapter = task.adapter and not isinstance(model, PeftModel)
    if not new_adapter:  # with a new adapter the base does not train
        train_in_float32(model)
    return {
        "model": model,
        "train_dataset": read_dataset(task.dataset),
        "eval_dataset": read_dataset(task.validation) if task.validation else None,
        "processing_class": load_tokenizer(task.model),
        "peft_config": LoraConfig(**task.adapter) if task.adapter and new_adapter else None,
    }


def train(trainer: Any, task: TrlTask) -> None:
    """Train to the end, and save the model with its tokenizer."""
    # Not before: by now a trainer's vLLM has compiled its model and captured its CUDA graphs, as it does everywhere.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # By default that also fills every `torch.empty`, vLLM's caches included, with NaN, to reveal reads of unwritten
    # memory. It costs a write of all that memory, and does not make a run repeatable.
    torch.utils.deterministic.fill_uninitialized_memory = False
    for callback in kit_callbacks(trainer):
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=task.resume)
    trainer.save_model(task.output)
    if trainer.is_world_process_zero():
        trainer.processing_class.save_pretrained(task.output)


def read_dataset(path: str) -> Any:
    """The rows of a JSONL file, as trainers read them."""
    return load_dataset("json", data_files=path, split="train")
