"""A forecast without reasoning: what reasoning adds is judged beside it."""

from collections.abc import Mapping

from cortex.domains.debate import Debate
from cortex.domains.question import Conversation, Question

_ASKED = "Do not reason about it: reply with the <answer> block alone."
_UNREASONED = "<think>No reasoning was asked for.</think>"


class AtOnce(Debate):
    """The question for the answer block alone, told at its end: not all models take a system turn."""

    def begin(self, question: Question) -> dict[str, Conversation]:
        return {}

    def close(self, question: Question, said: Mapping[str, str]) -> Conversation:
        *before, asked = question.messages
        return (*before, asked._replace(content=f"{asked.content}\n\n{_ASKED}"))

    def conclude(self, said: Mapping[str, str], last: str) -> str:
        """The reply, in the form of a forecast with reasoning; a model that reasons all the same is left as it is."""
        return last if "</think>" in last else f"{_UNREASONED}{last.strip()}"
