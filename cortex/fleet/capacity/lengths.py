"""Estimated tokens of prompts and answers; a profile gives only the longest answers."""

from cortex.profiles.profile import Profile

PROMPT = 512
"""Tokens of a prompt with all its features, assumed here; only the `label` stage counts them."""

FILLED = 0.5
"""Length of a usual answer as a share of the longest. Memory is planned for the longest, time for the usual."""


def usual_answer(longest: int) -> int:
    return max(1, round(FILLED * longest))


def answer_tokens(profile: Profile) -> int:
    """Tokens of a prompt with a usual answer of the teacher."""
    return PROMPT + usual_answer(profile.teacher.max_tokens)


def sft_tokens(profile: Profile) -> tuple[int, int]:
    """Tokens of SFT's longest sequence, and of a usual one."""
    longest = profile.sft.sequence_length
    if profile.sft.sample_packing:
        return longest, longest  # short examples share a sequence
    return longest, min(longest, answer_tokens(profile))


def rollout_tokens(profile: Profile, stage: str = "grpo") -> tuple[int, int]:
    """Tokens of the longest sequence that a stage samples, and of a usual one."""
    distill = profile.distill if stage == "distill" else None
    completion = distill.max_completion_length if distill else profile.answer_tokens
    return PROMPT + completion, PROMPT + usual_answer(completion)
