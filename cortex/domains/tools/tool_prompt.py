"""Prompts and replies: the tools that a model is told of, and the form of its last answer."""

import json
import re
from collections.abc import Sequence

from cortex.domains.disguise import disguise
from cortex.domains.question import Conversation, Message
from cortex.domains.tools.tool_calls import TAGS, Style
from cortex.domains.tools.tool_questions import UNKNOWN
from cortex.domains.tools.toolbox import TOOLS, ToolName

_TEXT = r"(?:(?!</?think>|</?answer>).)*"
_FORM = re.compile(rf"(?:<think>{_TEXT}</think>\s*)?<answer>(?P<answer>{_TEXT})</answer>", re.DOTALL)


def write_prompt(question: str, tools: Sequence[ToolName], style: Style, most_rounds: int) -> Conversation:
    """The turns before a model's first. In the compact style the question is all."""
    asked = Message("user", question)
    if style == "compact":
        return (asked,)
    opening, closing = TAGS[style]
    listed = "\n".join(
        json.dumps({"name": name, "description": TOOLS[name].about, "arguments": TOOLS[name].parameters})
        for name in tools
    )
    return (
        Message(
            "system",
            f"Answer the question with the help of these tools:\n{listed}\n\n"
            f'To call one, write {opening}{{"name": "...", "arguments": {{"...": "..."}}}}{closing} and nothing after '
            f"it. You can call {most_rounds} times. Look up what you do not know; never guess a number.\n"
            "Give the final answer alone, a number or a word, inside <answer> tags. If the tools cannot tell, the "
            f"answer is {UNKNOWN}.",
        ),
        asked,
    )


def read_answer(reply: str) -> str | None:
    """The answer in a reply; None where it has another form, is empty, or hides something."""
    read = _FORM.fullmatch(reply.strip())
    if not read or not read["answer"].strip() or disguise(reply):
        return None
    return " ".join(read["answer"].split())


def write_answer(answer: str) -> str:
    """A reply in the form asked for."""
    return f"<answer>{answer}</answer>"


def same(answer: str, truth: str) -> bool:
    """True where an answer is the truth: equal numbers, or equal words whatever their case."""
    try:
        return abs(float(answer) - float(truth)) <= 1e-6 * max(1.0, abs(float(truth)))
    except ValueError:
        return answer.lower() == truth.lower()
