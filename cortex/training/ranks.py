"""What the processes of one trainer agree on."""

import torch


def barrier() -> None:
    """Wait until every rank is here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def highest(value: int) -> int:
    """The highest of what the ranks say, each its own."""
    if not torch.distributed.is_initialized():
        return value
    said = torch.tensor([value], device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX)
    return int(said.item())
