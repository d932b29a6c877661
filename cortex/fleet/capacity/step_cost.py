"""The memory and time of one training step by closed forms: where no trace was made, and for changes of a profile.

A trace is exact, closed forms are approximate. The effect of a changed key on a traced step is estimated by the
difference between two closed forms (`shifted`).
"""

from dataclasses import dataclass, replace

from cortex.fleet.capacity.architecture import BF16, FLOAT, Architecture
from cortex.fleet.capacity.phase import CLOSED
from cortex.fleet.capacity.requests import Step
from cortex.fleet.capacity.sheets import GpuSheet

BESIDE = 1.8
"""Time of a pass relative to its matrix products alone, because other kernels only move data: 1.4 to 2.1 in the traces
of the shipped profiles."""


@dataclass(frozen=True)
class Pass:
    """One forward or backward pass over the longest sequences, on one GPU."""

    seconds: float
    """Seconds of computing."""
    moved: float = 0.0
    """Bytes that are gathered from the other GPUs, and reduced over all."""

    def time(self, link: float, share: float) -> float:
        """Seconds of the pass over sequences of `share` of the longest length; transfers overlap with computing, since
        the next layer is gathered while one computes. `link` is in bytes a second."""
        return max(self.seconds * share, self.moved / link)


@dataclass(frozen=True)
class StepCost:
    """One optimizer step on one GPU; bytes and seconds."""

    peak: float
    """Most bytes in use at any time."""
    static: float
    """Bytes in use between steps: weights, the adapter, the optimizer's moments."""
    trained: int
    """Count of trained parameters, on all GPUs together."""
    forward: Pass
    backward: Pass
    """The backward pass with the layers' recomputation."""
    update: float
    """Seconds of the optimizer."""
    basis: str
    """`TRACED`, `CLOSED` or `UNTRACEABLE`."""

    def with_moments(self, step: Step) -> "StepCost":
        """This cost, of a step by AdamW, with the state of the step's own optimizer."""
        saved = (2 * FLOAT - step.moments) * self.trained / step.ranks
        return replace(self, peak=self.peak - saved, static=self.static - saved)

    def shifted(self, now: "StepCost", then: "StepCost") -> "StepCost":
        """This cost after a change of the profile that moves the closed form from `now` to `then`."""
        return replace(then, peak=self.peak + then.peak - now.peak, static=self.static + then.static - now.static)


def closed_form(step: Step, architecture: Architecture, sheet: GpuSheet) -> StepCost:
    """Memory and time of a step by closed forms.

    Weights, gradients and moments: Rajbhandari et al., "ZeRO", 2020, section 3. Activations under recomputation: the
    input of every layer, and all of one layer's: Korthikanti et al., "Reducing Activation Recomputation in Large
    Transformer Models", 2022, section 4, its count of tensors fitted to traces of Llama (see `_of_one_layer`). Time: 2
    operations a parameter and token for each product; 4 of 3 passes have no gradient of frozen weights.
    """
    a, tokens, ranks = architecture, step.rows * step.tokens, step.ranks
    width = BF16 if step.half else FLOAT
    trained = a.adapter(int(step.adapter["r"])) if step.adapter else a.parameters
    frozen = 0 if not step.adapter else a.packed() - a.scales() if step.packed else width * a.parameters
    # Trained parameters are kept in float32 (`cortex.trainers.precision`).
    static = (frozen + (FLOAT + step.moments) * trained) / ranks + (a.scales() if step.packed else 0)
    per_layer = (0.5 if step.packed else width) * a.layer
    inputs = (a.layers if step.checkpointing else 0) * tokens * a.hidden * width
    inner = _of_one_layer(a, tokens, width) * (1 if step.checkpointing else a.layers)
    unpacked = width * a.hidden * a.intermediate if step.packed else 0
    gradients = FLOAT * trained / ranks
    # Autocast keeps the rounded copies of weights until the forward pass is over; FSDP gathers them rounded.
    rounded = BF16 * trained if step.half and ranks == 1 and not step.adapter else 0
    # Under FSDP two layers are whole at a time, the current and the next; each is gathered through a buffer.
    whole = 2.1 * per_layer + (0 if step.adapter else width * a.layer) if ranks > 1 else 0
    tables = 2 * width * a.table if ranks > 1 else 0
    head = _of_head(step, a, tokens)
    peak = static + max(
        inputs + head + rounded + (tables / 2 if ranks > 1 else 0),
        inputs + tables + whole,
        inputs + inner + whole + unpacked,
        inner + whole + gradients + tables / 2,
        (2 if ranks > 1 else 1) * gradients,
    )
    one = 2.0 * a.multiplied * tokens + 4.0 * tokens * step.tokens * a.query * a.layers
    recomputed = one if step.checkpointing else 0.0
    gathered = (a.layers * per_layer + width * 2 * a.table) * (ranks > 1)
    return StepCost(
        peak=peak,
        static=static,
        trained=trained,
        forward=Pass(BESIDE * one / sheet.flops, gathered),
        backward=Pass(
            BESIDE * (recomputed + one * (1 if step.adapter else 2)) / sheet.flops,
            gathered + (width * trained if ranks > 1 else 0),
        ),
        update=7 * FLOAT * trained / ranks / sheet.bandwidth,
        basis=CLOSED,
    )


def _of_one_layer(architecture: Architecture, tokens: int, width: int) -> float:
    """Bytes that one layer keeps for its backward pass, and creates in it: 12 tensors as wide as the model, and 9 as
    wide as its feed-forward part, by traces of Llama at 8B and 70B."""
    return tokens * width * (12 * architecture.hidden + 9 * architecture.intermediate)


def _of_head(step: Step, architecture: Architecture, tokens: int) -> float:
    """Bytes of the loss. transformers' own creates logits, their float32 copy, its log-softmax and their gradient: 12
    bytes at once for each token and vocabulary entry. TRL's works in tiles of 4096 tokens and 32768 entries
    (`trl.kernels`)."""
    if step.stage in ("pretrain", "sft"):
        return 12.0 * tokens * architecture.vocabulary
    tile = BF16 * min(tokens, 4096) * min(architecture.vocabulary, 32768)
    return tile + 3 * FLOAT * tokens * architecture.hidden
