"""Conversations of one question each, for tests."""

from cortex.domains.question import Conversation, Message


def ask(*questions: str) -> tuple[Conversation, ...]:
    """A conversation for each question."""
    return tuple((Message("user", question),) for question in questions)
