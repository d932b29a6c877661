"""Results of tools as a teacher gets them.

Services take a message of the role `tool` only as the answer to a call in a form of their own. So a result is sent as
the user's, between tags, as Qwen's chat template does it, too.
"""

from cortex.domains.question import Conversation, Message

_BEGIN, _END = "<tool_response>\n", "\n</tool_response>"


def send_results(conversation: Conversation) -> Conversation:
    """The conversation with every result as the user's message."""
    return tuple(
        Message("user", f"{_BEGIN}{turn.content}{_END}") if turn.role == "tool" else turn for turn in conversation
    )


def receive_results(conversation: Conversation) -> Conversation:
    """The conversation that `send_results` was given."""
    return tuple(
        Message("tool", turn.content.removeprefix(_BEGIN).removesuffix(_END))
        if turn.role == "user" and turn.content.startswith(_BEGIN) and turn.content.endswith(_END)
        else turn
        for turn in conversation
    )
