"""Questions as models, teachers and judges see them."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import JsonValue

Split = Literal["train", "validation", "test"]


class Message(NamedTuple):
    """One turn of a conversation, in the words of chat templates."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class Question:
    """Everything that a model, a teacher and the check of a label may see."""

    id: str
    messages: Conversation

    @property
    def text(self) -> str:
        """The last turn, which an answer follows."""
        return self.messages[-1].content


@dataclass(frozen=True)
class AskedQuestion(Question):
    """A question that a service was asked, with what an example of it needs besides its messages."""

    values: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """Values of the domain's own columns, such as a symbol and its features."""
    at: dt.datetime | None = None
    """The question's own time, where it is not the time of the request: that of a bar in the past."""


@dataclass(frozen=True)
class Example(Question):
    """A question with its truth, which only judging may see."""

    truth: JsonValue
    """None where no reply is true, as in a conversation: grades then depend on the reply alone, and DPO's pairs come
    from `Domain.preferred`."""
    split: Split = "train"
