"""The form of replies: `<think>reasoning</think><answer>answer</answer>`, in the compact style without reasoning."""

import re

from cortex.domains.conclusions import contradicts
from cortex.domains.disguise import disguise
from cortex.domains.gym.task_config import Style

INSTRUCTIONS = (
    "Reason step by step inside <think> tags. Then give the final answer alone, in the form that was asked for, inside "
    "<answer> tags."
)

_TEXT = r"(?:(?!</?think>|</?answer>).)*"
_ANSWER = rf"<answer>(?P<answer>{_TEXT})</answer>"
_FORMS: dict[Style, re.Pattern[str]] = {
    # Some chat templates write the opening <think> into the prompt.
    "full": re.compile(rf"(?:<think>)?(?P<thought>{_TEXT})</think>\s*{_ANSWER}", re.DOTALL),
    "compact": re.compile(_ANSWER, re.DOTALL),
}


def read_reply(reply: str, style: Style) -> str | None:
    """The answer in a reply; None where the reply has another form, no reasoning, or an empty answer, hides something,
    or ends its reasoning with another answer."""
    read = _FORMS[style].fullmatch(reply.strip())
    if not read or not read["answer"].strip() or disguise(reply):
        return None
    if style == "full" and (not read["thought"].strip() or contradicts(read["thought"], read["answer"])):
        return None
    return read["answer"].strip()


def write_reply(answer: str, style: Style, thought: str = "step by step") -> str:
    """A reply in the form asked for."""
    return (
        f"<answer>{answer}</answer>" if style == "compact" else f"<think>{thought}</think>\n<answer>{answer}</answer>"
    )
