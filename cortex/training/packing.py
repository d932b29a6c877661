"""Packed examples in one order, whatever was drawn before."""

from typing import Any

from torch.utils.data import SequentialSampler


def pack_in_order(trainer: Any) -> None:
    """Have Axolotl's trainer pack its examples in the order of the prepared set, which is shuffled by the seed.

    Axolotl 0.19 draws each epoch's order from PyTorch's global random state. A resumed run has another one there, and
    so packs, and learns from, other batches than an undisturbed run. In one order every epoch has the same batches, as
    many as the trainer reckons with where it skips those that were learnt from before.
    """
    pack = trainer._create_multipack_sampler

    def pack_sequentially(base_sampler: Any, dataset: Any) -> Any:
        return pack(SequentialSampler(dataset), dataset)

    trainer._create_multipack_sampler = pack_sequentially
