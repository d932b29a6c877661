"""Axolotl's way in for the kit: named under `plugins` in the configuration that the SFT stage writes."""

from typing import Any

from axolotl.integrations.base import BasePlugin
from peft import PeftModel
from transformers import PreTrainedModel, Trainer, TrainerCallback, set_seed

from cortex.training.callbacks import kit_callbacks
from cortex.training.layers import name_layers_to_shard
from cortex.training.packing import pack_in_order
from cortex.training.precision import train_in_float32
from cortex.training.ranks import leave


class CortexPlugin(BasePlugin):
    """Adds progress and committed checkpoints to Axolotl's trainer, and its seed to what Axolotl draws before that.

    It also names the layers that are sharded, holds what trains in float32, and packs examples in one order.
    """

    def pre_model_load(self, cfg: Any) -> None:
        # The trainer sets the seed, but a new adapter is drawn before there is one: each start would draw another.
        set_seed(cfg.seed)

    def post_model_build(self, cfg: Any, model: PreTrainedModel) -> None:
        if cfg.fsdp_config:
            name_layers_to_shard(model)

    def post_model_load(self, cfg: Any, model: PreTrainedModel | PeftModel) -> None:
        train_in_float32(model)  # after Axolotl's own conversions, which are for the embeddings and norms alone

    def post_trainer_create(self, cfg: Any, trainer: Trainer) -> None:
        if cfg.sample_packing:
            pack_in_order(trainer)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        return kit_callbacks(trainer)

    def post_train_unload(self, cfg: Any) -> None:
        leave()  # the last that Axolotl's command does
