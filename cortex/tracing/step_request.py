"""The request to trace a step, and the trace that answers it: JSON for `cortex.tracing.step_trace`."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class StepRequest(BaseModel):
    """One step to trace, in the terms of the trainers' arguments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any]
    """The base's `config.json`."""
    kind: Literal["sft", "dpo", "distill", "grpo"]
    """Source of the loss: transformers' own, or TRL's fused head."""
    layers: int
    """In place of the configuration's."""
    rows: int
    """Sequences of one forward pass of one GPU."""
    tokens: int
    """Tokens of each sequence."""
    scored: int
    """Tokens at the end of each sequence over which the loss is taken."""
    ranks: int = 1
    """GPUs that share the model."""
    adapter: dict[str, Any] | None = None
    """Arguments of `peft.LoraConfig`; None trains all weights."""
    packed: bool = False
    """True where the layers' weights are held in 4 bits."""
    checkpointing: bool = True
    """True where layers keep only their input, and are recomputed in the backward pass."""
    half: bool = True
    """bf16 under autocast; else float32."""
    attention: str = "sdpa"
    reshard_after_forward: bool = True
    """True where FSDP frees a layer between its passes."""
    flops: float = 1e15
    """Matrix operations a second that the GPU reaches in practice, in the step's precision."""
    bandwidth: float = 1e12
    """Memory bytes a second that the GPU reaches in practice."""


class Segment(BaseModel):
    """A part of a step."""

    peak: int
    """Peak of the live bytes."""
    seconds: float
    """Seconds of computing, by the roofline model."""
    operations: float
    """Floating-point operations on matrices."""
    gathered: int
    """Bytes that gathers fill, this rank's own share included."""
    scattered: int
    """Bytes that are summed over the ranks."""


class StepTrace(BaseModel):
    """The memory and time of one step of a model with so many layers."""

    layers: int
    static: int
    """Bytes that stay alive between steps: weights, the adapter, the optimizer's moments."""
    trained: int
    """Trainable parameters of all ranks together."""
    segments: dict[str, Segment]
