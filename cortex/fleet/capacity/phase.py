"""One phase of a stage: its memory, its transfers and its time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cortex.profiles.profile import Profile

CONTEXT = 0.6
"""GiB of a GPU that a process uses before its first tensor: CUDA's context and the libraries' kernels. An estimate."""
NCCL = 1.0
"""GiB of a GPU that NCCL's channels to the other GPUs use. An estimate."""
FRAGMENTED = 0.05
"""Share of PyTorch's allocated memory that fragmentation wastes. An estimate; it is more when long and short sequences
alternate, unless PYTORCH_ALLOC_CONF=expandable_segments:True."""

TRACED, CLOSED, UNTRACEABLE = "traced", "closed form", "closed form, untraceable"
"""Ways to compute a step; the last where a trace was tried, and the trainers' libraries could not make it."""


@dataclass(frozen=True)
class Knob:
    """A key of the profile that changes the needs of a phase, and values to try, the smallest change first."""

    key: str
    values: tuple[Any, ...]
    change: Callable[[Profile, Any], dict[str, Any]] | None = None
    """Function that returns further keys which change with it."""


@dataclass(frozen=True)
class Phase:
    """One phase of a stage, in bytes and seconds."""

    stage: str
    name: str
    seconds: float
    """Total of all its repetitions."""
    gpu: float = 0.0
    """Peak bytes of one GPU."""
    gpus: int = 0
    """GPUs at work, on all machines that train together."""
    capacity: float = 0.0
    """Bytes that one GPU has."""
    lacking: float = 0.0
    """Bytes by which the profile's share of the GPU for vLLM is too small."""
    host: float = 0.0
    """Bytes of each machine's memory, with the page cache of the weights."""
    disk: float = 0.0
    """Bytes on each machine's disk that are written, and kept until the stage ends."""
    moved: float = 0.0
    """Bytes over the network into each machine, or from other GPUs into each GPU."""
    crossed: float = 0.0
    """Bytes between GPUs that come into each machine from the other machines that train with it."""
    times: int = 1
    """Number of repetitions."""
    basis: str = CLOSED
    knobs: tuple[Knob, ...] = field(default=(), compare=False)
    """Changes of the profile that could make it fit."""

    @property
    def kind(self) -> str:
        """Its name without that of a phase of pretraining: `step`, `load`, `save`."""
        return self.name.partition(" ")[0]

    @property
    def over(self) -> float:
        """Bytes by which it does not fit; 0 or less where it does."""
        if not self.capacity:
            return 0.0
        return max(self.lacking or -self.capacity, self.gpu - self.capacity)

    @property
    def each(self) -> float:
        """Seconds of one repetition."""
        return self.seconds / self.times
