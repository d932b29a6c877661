"""The form of a turn: in the compact style the turn alone, else reasoning and then the turn, in tags."""

import re
from typing import Literal

from cortex.domains.disguise import disguise

Style = Literal["full", "compact"]

INSTRUCTIONS = "Reason step by step inside <think> tags. Then give your turn inside <answer> tags"

_TEXT = r"(?:(?!</?think>|</?answer>).)*"
_FULL = re.compile(
    # Some chat templates write the opening <think> into the prompt.
    rf"(?:<think>)?(?P<thought>{_TEXT})</think>\s*<answer>(?P<turn>{_TEXT})</answer>",
    re.DOTALL,
)


def read_turn(reply: str, style: Style) -> str | None:
    """The turn in a reply; None where the reply has another form, no reasoning, or hides something."""
    if disguise(reply):
        return None
    if style == "compact":
        return reply.strip()
    read = _FULL.fullmatch(reply.strip())
    return read["turn"].strip() if read and read["thought"].strip() else None


def write_turn(turn: str, style: Style, thought: str) -> str:
    """A reply in the form asked for."""
    return turn if style == "compact" else f"<think>{thought}</think>\n<answer>{turn}</answer>"
