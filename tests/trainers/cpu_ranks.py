"""Patches of Accelerate and gloo for machines without a GPU, in programs of these tests that shard a model."""

from typing import Any

import torch.distributed as dist
from accelerate.state import PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from transformers import Trainer


def shard_without_a_gpu() -> None:
    """Have a Trainer shard as its arguments say: without a GPU Accelerate leaves FSDP out silently.

    Gloo's barrier knows no devices.
    """
    create, barrier = Trainer.create_accelerator_and_postprocess, dist.barrier

    def create_sharded(self: Any) -> None:
        create(self)
        if self.args.fsdp:
            state = self.accelerator.state
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            state.fsdp_plugin.set_mixed_precision("bf16")
            state.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.is_fsdp_enabled = True

    Trainer.create_accelerator_and_postprocess = create_sharded
    dist.barrier = lambda *_, device_ids=None, **options: barrier(**options)
