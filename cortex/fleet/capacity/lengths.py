"""Tokens of prompts and answers, of which a profile knows the longest alone."""

from cortex.runs.profile import Profile

PROMPT = 512
"""Tokens of a prompt with all its features; the `label` stage is the first to count them."""

FILLED = 0.5
"""How much of the longest answer a usual one takes. Memory is planned for the longest, time for the usual."""


def usual_answer(longest: int) -> int:
    return max(1, round(FILLED * longest))


def answer_tokens(profile: Profile) -> int:
    """A prompt with a usual answer of the teacher."""
    return PROMPT + usual_answer(profile.teacher.max_tokens)


def sft_tokens(profile: Profile) -> tuple[int, int]:
    """The longest sequence of SFT, and the usual one."""
    longest = profile.sft.sequence_length
    if profile.sft.sample_packing:
        return longest, longest  # short ones share a sequence
    return longest, min(longest, answer_tokens(profile))


def rollout_tokens(profile: Profile) -> tuple[int, int]:
    """The longest sequence of GRPO, and the usual one."""
    completion = profile.grpo.max_completion_length
    return PROMPT + completion, PROMPT + usual_answer(completion)
