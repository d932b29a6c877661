"""What judging one reply gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Graded:
    """One reply, judged against the truth."""

    loss: float
    """0 to 1: what models, quantized copies and baselines are compared by, and the best checkpoint has least of."""
    valid: bool
    """The reply could be read."""
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What GRPO may pay for or punish, each 0 to 1, before any is weighed."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """Further numbers, of which the domain's measures are means."""
