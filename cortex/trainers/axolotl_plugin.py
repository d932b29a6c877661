"""The kit's plugin for Axolotl, named under `plugins` in the configuration that the SFT stage writes."""

from typing import Any

from axolotl.integrations.base import BasePlugin
from peft import PeftModel
from transformers import PreTrainedModel, Trainer, TrainerCallback, set_seed

from cortex.trainers.callbacks import kit_callbacks
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.packing import pack_in_order
from cortex.trainers.precision import train_in_float32
from cortex.trainers.ranks import leave


class CortexPlugin(BasePlugin):
    """Adds progress and committed checkpoints to Axolotl's trainer, and seeds what Axolotl draws before training.

    It also names the layers to shard, holds trainable weights in float32, and packs examples in a fixed order.
    """

    def pre_model_load(self, cfg: Any) -> None:
        # The trainer sets the seed too late: Axolotl draws a new adapter before, and each start would draw another.
        set_seed(cfg.seed)

    def post_model_build(self, cfg: Any, model: PreTrainedModel) -> None:
        if cfg.fsdp_config:
            name_layers_to_shard(model)

    def post_model_load(self, cfg: Any, model: PreTrainedModel | PeftModel) -> None:
        train_in_float32(model)  # after Axolotl's own conversions, which only concern embeddings and norms

    def post_trainer_create(self, cfg: Any, trainer: Trainer) -> None:
        if cfg.sample_packing:
            pack_in_order(trainer)

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Trainer) -> list[TrainerCallback]:
        return kit_callbacks(trainer)

    def post_train_unload(self, cfg: Any) -> None:
        leave()  # this hook is the last step of Axolotl's command
