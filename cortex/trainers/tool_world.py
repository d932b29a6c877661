"""Episodes with tools as TRL trains on them: an environment of which the model's replies are the calls.

TRL looks for calls in a reply, answers them by methods of an environment, and samples on. Here a reply with a call is
one call as a whole, of the environment's only method: so the domain reads it, with all its mistakes, as in the
evaluation, and the conversation has the same tokens there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.episode import Episode, ToolTurns
from cortex.domains.question import Conversation, Example, Message
from cortex.models.conversation import conversation

_METHOD, _ARGUMENT = "reply", "text"


class ToolWorld:
    """One question's world, as TRL makes, resets and calls it. Its public methods are what a model can call."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._episode: Episode | None = None

    def reset(self, **row: Any) -> None:
        """Begin the episode of a row of the dataset."""
        example = Example(row["example_id"], conversation(row["prompt"]), json.loads(row["truth"]))
        self._episode = self._domain.episode(example)

    def reply(self, text: str) -> str:
        """
        Answer the calls of a reply.

        Args:
            text: The reply.

        Returns:
            What the model is told.
        """
        told = self._episode.step(text) if self._episode else None
        return "\n".join(message.content for message in told or ())


def make_world(domain: Domain) -> Callable[[], ToolWorld]:
    """TRL's `environment_factory`."""
    return lambda: ToolWorld(domain)


def response_template(turns: ToolTurns, end: str) -> dict[str, Any]:
    """A template by which transformers parses replies: one with a call in it is a call of `ToolWorld.reply` as a whole.

    `end` is the token that ends a turn.
    """
    close = {"close_pattern": rf"{re.escape(end)}\s*", "content": "text"}
    call = {"type": "function", "function": {"name": _METHOD, "arguments": {_ARGUMENT: "{content}"}}}
    # The pattern matches before the reply's first character, and only if a call follows somewhere.
    ahead = rf"\A(?=[\s\S]*?{re.escape(turns.mark)})"
    return {
        "defaults": {"role": "assistant"},
        "start_anchor_pattern": r"\A[\s\S]*",  # no part of the prompt is in the reply
        "fields": {
            "tool_calls": {"open_pattern": ahead, "repeats": True, "transform": call, **close},
            "content": close,
        },
    }


def spoken(completion: Sequence[Mapping[str, Any]]) -> Conversation:
    """The turns of a completion as the evaluation has them: replies with calls are text again."""
    return tuple(Message(turn["role"], _text(turn)) for turn in completion)


def _text(turn: Mapping[str, Any]) -> str:
    calls = turn.get("tool_calls")
    return calls[0]["function"]["arguments"][_ARGUMENT] if calls else turn["content"]
