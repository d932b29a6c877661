"""Length of the teacher's answers in the base's tokens, compared with the token limits of GRPO and the evaluation."""

from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.teaching.labels import accepted_conversations

TOLD, REFUSED = 0.05, 0.5
"""Shares of answers that are too long: from the first on the stage warns, above the second it refuses."""


def check_answer_lengths(profile: Profile, labels: Path, base: Path) -> None:
    """Warn, or refuse, where SFT would teach answers longer than GRPO or the evaluation allows.

    Such answers are cut off and lose their reward and score. The teacher's `max_tokens` cannot tell: it counts another
    tokenizer's tokens, and perhaps reasoning that is not shown.

    Raises:
        ConfigError: the run trains on a GPU, and most answers are too long.
    """
    limit = min(profile.answer_tokens, profile.evaluate.max_new_tokens)
    found = describe(answer_lengths(labels, base / "tokenizer.json"), limit)
    if found is None:
        return
    share, words = found
    if share > REFUSED and profile.hardware.device == "cuda":
        raise ConfigError(f"sft: {words}")
    logger.warning(f"sft: {words}")


def describe(lengths: Sequence[int], limit: int) -> tuple[float, str] | None:
    """The share of answers above `limit`, with a message; None where they are few."""
    share = sum(length > limit for length in lengths) / len(lengths)
    if share < TOLD:
        return None
    enough = -(-sorted(lengths)[int(0.95 * len(lengths))] // 64) * 64
    return share, (
        f"{share:.0%} of the teacher's answers are longer than {limit} tokens, where grpo.max_completion_length and "
        f"evaluate.max_new_tokens cut answers off: a model that learns them finishes few. Set both to {enough} and "
        "grpo.vllm.max_model_length to hold a prompt beside them, or take a teacher that answers in fewer words"
    )


def answer_lengths(labels: Path, tokenizer: Path) -> list[int]:
    """The number of tokens of every accepted answer, its end token included."""
    from tokenizers import Tokenizer  # only installed for stages that load models

    encoder = Tokenizer.from_file(str(tokenizer))
    answers = [messages[-1]["content"] for messages in accepted_conversations(labels)]
    return [len(encoded.ids) + 1 for encoded in encoder.encode_batch(answers, add_special_tokens=False)]
