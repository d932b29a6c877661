"""Packing of examples in a fixed order, independent of the random state."""

from typing import Any

from torch.utils.data import SequentialSampler


def pack_in_order(trainer: Any) -> None:
    """Have Axolotl's trainer pack its examples in the order of the prepared set, which is shuffled by the seed.

    Axolotl 0.19 draws each epoch's order from PyTorch's global random state. A resumed run has another state, so it
    would pack and learn from other batches than an undisturbed run. In a fixed order every epoch has the same batches,
    as many as the trainer assumes when it skips those before the checkpoint.
    """
    pack = trainer._create_multipack_sampler

    def pack_sequentially(base_sampler: Any, dataset: Any) -> Any:
        return pack(SequentialSampler(dataset), dataset)

    trainer._create_multipack_sampler = pack_sequentially
