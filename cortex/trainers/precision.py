"""The precision in which weights that train are held."""

from typing import Any

import torch


def train_in_float32(model: Any) -> None:
    """Hold every weight that trains in float32; what computes rounds it to bf16, under autocast or as FSDP gathers it.

    Gradients and the optimizer's moments are then float32, too. Neighbouring bf16 numbers differ by a 256th or more of
    their size: in bf16 a weight of 0.02 would not move at all at a learning rate of 1e-5, since every step is rounded
    away. Accelerate does the same under FSDP2, but Axolotl 0.19 replaces its wrapping by one that does not; on one GPU
    no library does. PEFT holds a new adapter in float32 by itself.
    """
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()
