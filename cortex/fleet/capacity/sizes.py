"""Sizes of a run's files on disk, shared by the plan and preflight's check of disks."""

from cortex.fleet.capacity.architecture import FLOAT, Architecture
from cortex.profiles.profile import Profile


def checkpoint_bytes(profile: Profile, architecture: Architecture) -> int:
    """Bytes of one checkpoint: the trained parameters in float32, and the optimizer's two moments of each."""
    return 3 * FLOAT * architecture.trained(profile.model.adapter)


def judged_bytes(profile: Profile, architecture: Architecture, tokens: int | None = None) -> int:
    """Bytes of the log-probabilities that quantized copies are compared with, for answers of `tokens` tokens (default:
    the longest)."""
    tokens = tokens or profile.export.answer_tokens or profile.evaluate.max_new_tokens
    return FLOAT * profile.export.check_examples * tokens * architecture.vocabulary
