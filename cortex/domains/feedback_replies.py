"""Replies that callers approved of, beside a dataset's examples: SFT imitates them, and DPO prefers the better ones."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from cortex.domains.question import Conversation, Message, Question

REPLIES = "feedback.jsonl"
"""The file of replies in the folder of a dataset that draws on feedback."""


@dataclass(frozen=True)
class FeedbackReply:
    """A reply to imitate, and where there is one a worse reply to the same question."""

    id: str
    messages: list[dict[str, str]]
    accepted: str
    rejected: str | None = None

    def named(self, name: str) -> Self:
        """The same with another id."""
        return replace(self, id=name)

    @property
    def question(self) -> Question:
        turns: Conversation = tuple(Message(**turn) for turn in self.messages)  # pyright: ignore[reportArgumentType]
        return Question(self.id, turns)


def write_replies(replies: Iterable[FeedbackReply], folder: Path) -> None:
    """Write the replies of a dataset; no file where there are none."""
    lines = [json.dumps(asdict(reply)) + "\n" for reply in replies]
    if lines:
        (folder / REPLIES).write_text("".join(lines), encoding="utf-8")


def read_replies(folder: Path) -> list[FeedbackReply]:
    """The replies of a dataset; none where it draws on no feedback."""
    file = folder / REPLIES
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [FeedbackReply(**row) for row in rows]
