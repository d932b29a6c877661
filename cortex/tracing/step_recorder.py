"""The recorder of a traced step: live bytes, seconds and moved bytes of each of its segments."""

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
from torch.distributed._tools.mem_tracker import MemTracker

from cortex.tracing.roofline import Roofline
from cortex.tracing.step_request import Segment, StepRequest


class Recorder:
    """Peaks, seconds and gathered bytes of the segments of a step, as `mark` closes them."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, request: StepRequest, ids: Any) -> None:
        self.segments: dict[str, Segment] = {}
        self._roofline = Roofline(request.flops, request.bandwidth)
        if request.ranks > 1:
            self._memory: _Memory | _ShardedMemory = _ShardedMemory(model, optimizer)
            self._memory.track_inputs((ids,))
        else:
            self._memory = _Memory()
            self._memory.track_external(model, optimizer, ids)
        layers = find_layers(model)
        for index, segment in ((len(layers) - 1, "head"), (len(layers) - 3, "last"), (1, "middle")):
            layers[index].register_forward_hook(self._at_gradient_of(segment))

    def __enter__(self) -> None:
        self._memory.__enter__()
        self._roofline.__enter__()
        gc.collect()  # otherwise garbage would count, or not, by chance
        gc.freeze()
        self.static = self._memory.alive

    def __exit__(self, *raised: Any) -> None:
        self._roofline.__exit__(*raised)
        self._memory.__exit__(*raised)
        gc.unfreeze()

    def mark(self, name: str) -> None:
        """Close the segment that began with the last mark."""
        peak, spent = self._memory.begin(), self._roofline.take()
        self.segments[name] = Segment(
            peak=peak,
            seconds=spent.seconds,
            operations=spent.operations,
            gathered=spent.gathered,
            scattered=spent.scattered,
        )
        gc.collect()

    def _at_gradient_of(self, name: str) -> Any:
        """A hook that closes a segment when the backward pass reaches a layer's output."""

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if tensor.requires_grad and name not in self.segments:
                tensor.register_hook(lambda _gradient: self.mark(name))

        return hook


class _Peak:
    """Reduces a memory tracker to one number: the peak of the live bytes since the last `begin`."""

    _peak_mem: dict[torch.device, int]
    _curr_mem_snap: dict[torch.device, dict[str, int]]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)

    def _update_peak_stats(self, peak_state: Any) -> None:  # the original visits all modules for each tensor
        for device, snapshot in self._curr_mem_snap.items():
            if self._peak_mem.get(device, 0) < snapshot["Total"]:
                self._peak_mem[device] = snapshot["Total"]

    def begin(self) -> int:
        """Begin a new peak at the bytes alive now; returns the old peak."""
        peak = sum(self._peak_mem.values())
        self._peak_mem = {device: snapshot["Total"] for device, snapshot in self._curr_mem_snap.items()}
        return peak

    @property
    def alive(self) -> int:
        return sum(snapshot["Total"] for snapshot in self._curr_mem_snap.values())


class _Memory(_Peak, MemTracker):
    """Counts bytes of a model that one GPU holds."""

    def _track_module_params_and_buffers(self, module: nn.Module, install_grad_hooks: bool = True) -> tuple[int, int]:
        # With hooks it would classify gradients, and fail on a frozen parameter, which has none.
        return super()._track_module_params_and_buffers(module, install_grad_hooks=False)


class _ShardedMemory(_Peak, FSDPMemTracker):
    """Counts bytes of a sharded model of which some modules are never called: TRL's head reads its weight directly."""

    def _fsdp_param_group_pre_backward(self, fsdp_mod: Any, orig_fsdp_param_group_pre_backward: Any) -> Any:
        original = orig_fsdp_param_group_pre_backward
        return self._where_called(fsdp_mod, super()._fsdp_param_group_pre_backward(fsdp_mod, original), original)

    def _fsdp_param_group_post_backward(self, fsdp_mod: Any, orig_fsdp_param_group_post_backward: Any) -> Any:
        original = orig_fsdp_param_group_post_backward
        return self._where_called(fsdp_mod, super()._fsdp_param_group_post_backward(fsdp_mod, original), original)

    def _where_called(self, fsdp_mod: Any, tracked: Callable[..., None], original: Callable[..., None]) -> Any:
        def call(*args: Any, **kwargs: Any) -> None:
            (tracked if fsdp_mod in self.memory_tracking else original)(*args, **kwargs)

        return call


def find_layers(model: nn.Module) -> nn.ModuleList:
    """The decoder's layers: the longest list of modules."""
    return max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len)
