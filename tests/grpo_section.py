"""The GRPO section of a profile that has one."""

from cortex.profiles.profile import Profile
from cortex.profiles.trainer_sections import Grpo


def grpo_of(profile: Profile) -> Grpo:
    """The section; a test whose profile has none is wrong."""
    assert profile.grpo is not None
    return profile.grpo
