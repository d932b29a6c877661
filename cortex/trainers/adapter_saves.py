"""Saving a sharded model's adapter without gathering the frozen base."""

from typing import Any

from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers import Trainer


class AdapterSaves(Trainer):
    """A Trainer whose saves under FSDP2 gather only the trainable parameters.

    Accelerate's `get_state_dict`, which `Trainer.save_model` calls, gathers every weight onto rank 0 first: for a 70B
    base 141 GB at each checkpoint, of which PEFT then writes the adapter's half.
    """

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        frozen = any(not parameter.requires_grad for parameter in self.model.parameters())
        if not (self.is_fsdp_enabled and self.accelerator.is_fsdp2 and frozen):
            super().save_model(output_dir, _internal_call)
            return
        trained = trained_state(self.model)
        if self.args.should_save:
            self._save(output_dir or self.args.output_dir, state_dict=trained)


def trained_state(model: Any) -> dict[str, Any]:
    """Full tensors of all trainable parameters on rank 0's CPU; empty on other ranks. A collective call."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    return get_model_state_dict(model, options=options)
