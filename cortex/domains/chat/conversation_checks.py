"""Checks of a conversation that is to be learned from: roles by turns, no empty turn, and not too many words."""

from collections.abc import Sequence

from cortex.domains.chat.conversation_formats import FormatError, Turn

KNOWN = ("system", "user", "assistant")


def check_turns(turns: Sequence[Turn], max_words: int) -> None:
    """Check the turns of one conversation: perhaps a system message, then user and assistant by turns.

    Raises:
        FormatError: they are not so, a turn is empty, or all turns together have more than `max_words` words.
    """
    for number, turn in enumerate(turns, 1):
        if turn.role not in KNOWN:
            raise FormatError("unknown role", f"turn {number} is by {turn.role!r}: known are {', '.join(KNOWN)}")
        if not turn.content.strip():
            raise FormatError("empty turn", f"turn {number} ({turn.role}) is empty")
    spoken = [turn for turn in turns if turn.role != "system"]
    first = len(turns) - len(spoken) + 1
    if any(turn.role == "system" for turn in turns[1:]):
        raise FormatError("system message", "a system message is not the first turn")
    for number, turn in enumerate(spoken):
        wanted = ("user", "assistant")[number % 2]
        if turn.role != wanted:
            raise FormatError(
                "roles do not alternate", f"turn {first + number} is by {turn.role}, and {wanted} would be next"
            )
    if not spoken or len(spoken) % 2:
        raise FormatError("no reply", "the last turn is not by the assistant")
    words = sum(len(turn.content.split()) for turn in turns)
    if words > max_words:
        raise FormatError("too long", f"{words:,} words, and domain.max_words is {max_words:,}")
