"""Bytes of what a run writes to disk, as the plan and the check of disks both count them."""

from cortex.fleet.capacity.architecture import FLOAT, Architecture
from cortex.runs.profile import Profile


def checkpoint_bytes(profile: Profile, architecture: Architecture) -> int:
    """Of one checkpoint: what is trained in float32, and the optimizer's two moments of it."""
    return 3 * FLOAT * architecture.trained(profile.model.adapter)


def judged_bytes(profile: Profile, architecture: Architecture, tokens: int | None = None) -> int:
    """Of the log-probabilities that a quantized copy's are compared with, of answers with so many tokens (default: the
    longest)."""
    tokens = tokens or profile.export.answer_tokens or profile.evaluate.max_new_tokens
    return FLOAT * profile.export.check_examples * tokens * architecture.vocabulary
