"""The witness's way into Axolotl, named under `plugins` in the configuration of a bare run."""

from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import Trainer, TrainerCallback

from cortex.drill.witness import Witness


class WitnessPlugin(BasePlugin):
    """Adds the witness to Axolotl's trainer."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        return [Witness()]
