"""Linear layers with 4-bit weights that take bitsandbytes' memory, whose own kernels do not run on fake tensors.

The layout is QLoRA's (Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023): NF4 in blocks of 64 with
an 8-bit scale each; every 256 scales share a float32 scale. Each pass unpacks a whole weight, and discards it.
"""

from typing import Any

import torch
from torch import nn

PER_ELEMENT = 4
"""4-bit weights stored in one bf16 number, a type that FSDP can shard (`bnb_4bit_quant_storage`)."""
BLOCK, BLOCKS_PER_SCALE = 64, 256


class _Unpacked(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, inputs: torch.Tensor, packed: torch.Tensor, out_features: int) -> torch.Tensor:
        context.save_for_backward(packed)
        context.out_features, context.in_features = out_features, inputs.shape[-1]
        return inputs @ _unpack(packed, out_features, inputs.shape[-1], inputs.dtype).t()

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (packed,) = context.saved_tensors
        gradient = gradients[0]
        return gradient @ _unpack(packed, context.out_features, context.in_features, gradient.dtype), None, None


def _unpack(packed: torch.Tensor, rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros((rows, columns), dtype=dtype, device=packed.device)  # zeros, so that the trace counts the write


class PackedLinear(nn.Linear):
    """A linear layer without bias whose weight is packed; it has no values, only sizes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False, dtype=layer.weight.dtype)
        count = layer.weight.numel()
        self.weight = nn.Parameter(torch.empty((count // PER_ELEMENT, 1), dtype=torch.bfloat16), requires_grad=False)
        # The scales are part of the quantization state, which every rank holds in full.
        scales = count // BLOCK + 4 * (count // BLOCK // BLOCKS_PER_SCALE)
        self.register_buffer("scales", torch.empty(scales, dtype=torch.uint8), persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  (the base's own name)
        # As in bitsandbytes, the input is cast to the computing precision, whatever autocast does with plain products.
        return _Unpacked.apply(input.to(torch.bfloat16), self.weight, self.out_features)


def pack_linears(model: nn.Module) -> None:
    """Replace every linear layer but the head."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and not name.endswith("lm_head"):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, PackedLinear(module))
