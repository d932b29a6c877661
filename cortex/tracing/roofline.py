"""Time of tensor operations by the roofline model: each takes the longer of its arithmetic and its memory traffic.

Williams et al., "Roofline: An Insightful Visual Performance Model", 2009. PyTorch's `RuntimeEstimator` computes the
same, but reads the figures of a real GPU. Here the caller gives them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

LAUNCH_SECONDS = 5e-6
"""Minimum seconds of an operation: PyTorch in eager mode starts some 200,000 kernels a second."""

_NO_KERNEL = {
    f"aten::{name}" for name in ("detach", "empty", "empty_like", "new_empty", "empty_strided", "_unsafe_view")
}
"""Operations that move nothing; those that only change a tensor's shape say so themselves (`is_view`)."""

_COPY_IN = "fsdp::all_gather_copy_in"
"""The operation that copies this rank's share into the buffer that a gather fills."""


@dataclass
class Spent:
    """The cost of some operations."""

    seconds: float = 0.0
    operations: float = 0.0
    gathered: int = 0
    scattered: int = 0


class Roofline(TorchDispatchMode):
    """Adds up the time that the operations within it would take on a GPU with these figures."""

    def __init__(self, flops: float, bandwidth: float) -> None:
        super().__init__()
        self._flops, self._bandwidth = flops, bandwidth
        self._spent = Spent()

    def take(self) -> Spent:
        """The cost since the last call."""
        spent, self._spent = self._spent, Spent()
        return spent

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func._schema.name
        if name.startswith(("c10d::", "_c10d_functional::")):
            self._collective(name, args)
        elif not (func.is_view or name in _NO_KERNEL or name.startswith(("prim::", "profiler::"))):
            operations = _operations(func, args, kwargs, out)
            touched = (args[0], args[0]) if name == _COPY_IN else (args, kwargs, out)
            moved = sum(_bytes(leaf) for leaf in tree_leaves(touched) if isinstance(leaf, torch.Tensor))
            self._spent.operations += operations
            self._spent.seconds += max(operations / self._flops, moved / self._bandwidth, LAUNCH_SECONDS)
        return out

    def _collective(self, name: str, args: Any) -> None:
        # The larger side is the full tensor: a gather's output, or a reduce-scatter's input.
        whole = max((_bytes(leaf) for leaf in tree_leaves(args) if isinstance(leaf, torch.Tensor)), default=0)
        if "gather" in name:
            self._spent.gathered += whole
        elif "reduce" in name:
            self._spent.scattered += whole


def _operations(func: Any, args: Any, kwargs: Any, out: Any) -> float:
    name = func._schema.name
    if name == "aten::_scaled_dot_product_flash_attention_for_cpu":  # CPU only, and so not in PyTorch's own table
        return float(sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape))
    if name == "aten::_scaled_dot_product_flash_attention_for_cpu_backward":
        return float(sdpa_backward_flop_count(args[0].shape, args[1].shape, args[2].shape, args[3].shape))
    count = flop_registry.get(func._overloadpacket)
    return float(count(*args, **kwargs, out_val=out)) if count else 0.0


def _bytes(tensor: torch.Tensor) -> int:
    """Bytes of a tensor's memory: an expanded tensor's storage counts once, a sharded tensor's only on this rank."""
    if isinstance(tensor, DTensor):
        tensor = tensor._local_tensor
    elements = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        elements *= size if stride else 1
    return elements * tensor.element_size()
