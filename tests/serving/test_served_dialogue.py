"""Dialogues that a server holds: calls are answered on it, within the episode's limits."""

import asyncio
from typing import Any

import pytest

from cortex.domains.question import Conversation
from cortex.domains.tools.domain import Tools
from cortex.errors import DataError
from cortex.serving.served_dialogue import Spoken, converse
from cortex.settings import Settings

DOMAIN = Tools.model_validate({"kind": "tools", "style": "compact", "max_rounds": 3})


def served(question: str, *replies: str, finish: str = "stop") -> tuple[Spoken, list[Conversation]]:
    """The dialogue of a model that says these replies, the last one for ever; and all prompts that it got."""
    endpoint = DOMAIN.endpoint({}, 0, Settings())
    asked: list[Conversation] = []

    async def ask(prompt: Conversation) -> dict[str, Any]:
        asked.append(prompt)
        text = replies[min(len(asked), len(replies)) - 1]
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
        return {"choices": [choice], "usage": {"prompt_tokens": 10 * len(asked), "completion_tokens": 3}}

    read = endpoint.question(endpoint.request.model_validate({"question": question}))
    return asyncio.run(converse(read, endpoint.episode(read), ask)), asked


def test_calls_are_answered_on_the_server_and_the_turns_show_them() -> None:
    spoken, asked = served("calc 12 + 30", "<call> calculator 12 + 30 </call>", "<answer> 42 </answer>")
    assert [(turn.role, turn.content) for turn in spoken.turns] == [
        ("assistant", "<call> calculator 12 + 30 </call>"),
        ("tool", "42"),
        ("assistant", "<answer> 42 </answer>"),
    ]
    assert [len(prompt) for prompt in asked] == [1, 3]
    assert (spoken.prompt_tokens, spoken.completion_tokens, spoken.cut) == (30, 6, False)
    assert DOMAIN.endpoint({}, 0, Settings()).read(spoken.reply).answer == {"answer": "42"}


def test_a_model_that_only_calls_is_ended_and_its_answer_held_back() -> None:
    spoken, asked = served("calc 1", "<call> calculator 1/0 </call>")
    assert len(asked) == 4 and spoken.turns[1].content == "error: division by zero"
    with pytest.raises(DataError, match="no answer in the form"):
        DOMAIN.endpoint({}, 0, Settings()).read(spoken.reply)
    assert served("calc 1", "<answer> 1", finish="length")[0].cut
