"""The grade of one reply."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Graded:
    """One reply, judged against the truth."""

    loss: float
    """0 to 1: models, quantized copies and baselines are compared by it, and the best checkpoint has the lowest."""
    valid: bool
    """The reply could be read."""
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    """Parts of GRPO's reward, penalties among them: each 0 to 1, before any is weighed."""
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    """Further numbers, whose means are the domain's measures."""
