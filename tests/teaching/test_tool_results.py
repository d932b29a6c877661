"""Results of tools on their way to a teacher and back."""

from cortex.domains.question import Message
from cortex.teaching.tool_results import receive_results, send_results


def test_results_travel_as_the_users_messages_and_are_results_again() -> None:
    talk = (Message("user", "why?"), Message("assistant", "look"), Message("tool", "7\n8"), Message("tool", ""))
    sent = send_results(talk)
    assert [turn.role for turn in sent] == ["user", "assistant", "user", "user"]
    assert "7\n8" in sent[2].content
    assert receive_results(sent) == talk
