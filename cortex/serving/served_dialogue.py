"""A dialogue on the server: the model's calls are answered here, until it gives its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cortex.domains.episode import Dialogue, Episode
from cortex.domains.question import Conversation, Question
from cortex.serving.chat_routes import usage_of

Ask = Callable[[Conversation], Awaitable[Mapping[str, Any]]]
"""Takes a conversation; returns the engine's answer of chat completions."""


@dataclass(frozen=True)
class Spoken:
    """All that a model said to a request."""

    turns: Conversation
    """All turns after the question; the last is the model's answer."""
    prompt_tokens: int
    completion_tokens: int
    """Tokens of all requests to the engine together."""
    cut: bool
    """The last reply was cut off."""

    @property
    def reply(self) -> str:
        return self.turns[-1].content


async def converse(question: Question, episode: Episode | None, ask: Ask) -> Spoken:
    """Hold a question's dialogue to its end, by the limits of its episode. Raises as `ask`.

    The world answers in a thread of its own, so that a search or a query delays no other request.
    """
    dialogue, tokens, cut = Dialogue(question.messages, episode), (0, 0), False
    while dialogue.open:
        found = await ask(dialogue.prompt)
        choice, usage = found["choices"][0], usage_of(dict(found))
        tokens, cut = (tokens[0] + usage[0], tokens[1] + usage[1]), choice.get("finish_reason") == "length"
        await asyncio.to_thread(dialogue.reply, str(choice["message"].get("content") or ""))
    return Spoken(dialogue.turns, *tokens, cut)
