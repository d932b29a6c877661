"""Axolotl's way in for the kit's callbacks: named under `plugins` in the configuration that the SFT stage writes."""

from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import Trainer, TrainerCallback

from cortex.training.callbacks import kit_callbacks


class CortexPlugin(BasePlugin):
    """Adds progress and committed checkpoints to Axolotl's trainer."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        return kit_callbacks()
