"""The precision in which weights that train are held."""

from typing import Any

import torch


def train_in_float32(model: Any) -> None:
    """Hold every weight that trains in float32; what computes rounds it to bf16, under autocast or as FSDP gathers it.

    The optimizer's moments and the gradients follow. Neighbours in bf16 are a 256th of a weight apart or more: held so,
    a weight of 0.02 would not move at all at a learning rate of 1e-5, since every step is rounded away. Accelerate's
    FSDP2 does the same, but Axolotl 0.19 puts its own wrapping in that place, which does not; on one GPU nobody does.
    PEFT holds a new adapter so by itself.
    """
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()
