"""A base behind a long system prompt: conversations as its chat template takes them, if its context holds them."""

from collections.abc import Sequence

from jinja2 import TemplateError
from loguru import logger
from transformers import AutoConfig

from cortex.domains.question import Conversation, Message
from cortex.models.conversation import chat
from cortex.models.loading import load_tokenizer


def fit_prompts(folder: str, prompts: Sequence[Conversation], answer_tokens: int) -> list[Conversation] | None:
    """The conversations, each of which begins with a system message; None, with a warning, if one is too long.

    Some chat templates refuse system messages: there the message begins the first question instead.
    """
    tokenizer = load_tokenizer(folder)

    def write(prompt: Conversation) -> str:
        return str(tokenizer.apply_chat_template(chat(prompt), tokenize=False, add_generation_prompt=True))

    try:
        written = [write(prompt) for prompt in prompts]
        sent = list(prompts)
    except TemplateError:
        sent = [_joined(prompt) for prompt in prompts]
        written = [write(prompt) for prompt in sent]
    longest = max(len(ids) for ids in tokenizer(written, add_special_tokens=False)["input_ids"])
    limit = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
    if limit is not None and longest + answer_tokens > limit:
        logger.warning(
            f"evaluate: teacher.prompt and a question have {longest:,} tokens, and the base reads {limit:,}, the "
            "answer included: it is not asked with the prompt"
        )
        return None
    return sent


def _joined(prompt: Conversation) -> Conversation:
    system, first, *rest = prompt
    return (Message(first.role, f"{system.content}\n\n{first.content}"), *rest)
