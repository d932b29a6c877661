"""Axolotl plugin that adds the witness, named under `plugins` in the configuration of a bare run."""

from typing import Any

from axolotl.integrations.base import BasePlugin
from transformers import Trainer, TrainerCallback, set_seed

from cortex.drill.witness import Witness
from cortex.trainers.packing import pack_in_order


class WitnessPlugin(BasePlugin):
    """Adds the witness to Axolotl's trainer, and has it draw an adapter and pack examples as the kit's plugin does.

    Otherwise a bare trainer would draw both anew at each start, and its runs could not be compared.
    """

    def pre_model_load(self, cfg: Any) -> None:
        set_seed(cfg.seed)

    def post_trainer_create(self, cfg: Any, trainer: Trainer) -> None:
        if cfg.sample_packing:
            pack_in_order(trainer)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        return [Witness()]
