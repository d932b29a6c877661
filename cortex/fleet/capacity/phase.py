"""One phase of a stage: what it holds, moves and takes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cortex.runs.profile import Profile

CONTEXT = 0.6
"""GiB of a GPU that a process takes before its first tensor: CUDA's context and the libraries' kernels. An estimate."""
NCCL = 1.0
"""GiB that NCCL's channels to the other GPUs take. An estimate."""
FRAGMENTED = 0.05
"""Of what PyTorch allocates, so much is lost between its blocks. An estimate; with long and short sequences in turn it
is more, unless PYTORCH_ALLOC_CONF=expandable_segments:True."""

TRACED, CLOSED, UNTRACEABLE = "traced", "closed form", "closed form, untraceable"
"""How a step was computed; the last where a trace was tried, and the trainers' libraries could not make it."""


@dataclass(frozen=True)
class Knob:
    """A key of the profile that changes what a phase needs, and the values that may fit, the least change first."""

    key: str
    values: tuple[Any, ...]
    change: Callable[[Profile, Any], dict[str, Any]] | None = None
    """Further keys that change with it."""


@dataclass(frozen=True)
class Phase:
    """Of one stage. Bytes and seconds; nothing that is not known is 0."""

    stage: str
    name: str
    seconds: float
    """All of them together, however often the phase comes."""
    gpu: float = 0.0
    """The most that one GPU holds."""
    gpus: int = 0
    """GPUs at work: of one machine, or of all that train together."""
    capacity: float = 0.0
    """Bytes that one GPU has."""
    lacking: float = 0.0
    """Bytes that are missing within a share of the GPU which the profile sets."""
    host: float = 0.0
    """Of each machine's memory, the page cache of the weights included."""
    disk: float = 0.0
    """Of each machine's: written, and kept until the stage ends."""
    moved: float = 0.0
    """Over the network into each machine, or from the others into each GPU."""
    crossed: float = 0.0
    """Of what GPUs bring one another, the bytes that come into each machine from the others that train with it."""
    times: int = 1
    """How often it comes."""
    basis: str = CLOSED
    knobs: tuple[Knob, ...] = field(default=(), compare=False)
    """Changes of the profile that could make it fit."""

    @property
    def over(self) -> float:
        """Bytes by which it does not fit; 0 or less where it does."""
        if not self.capacity:
            return 0.0
        return max(self.lacking or -self.capacity, self.gpu - self.capacity)

    @property
    def each(self) -> float:
        """Seconds of one."""
        return self.seconds / self.times
