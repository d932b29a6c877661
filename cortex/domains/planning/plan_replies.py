"""The form of replies: `<think>reasoning</think><answer>plan</answer>`, in the compact style without reasoning."""

import re

from cortex.domains.disguise import disguise
from cortex.domains.planning.plan_problem import LONGEST_PLAN, BrokenRuleError, Plan, PlanProblem
from cortex.domains.planning.statements import Style

LONGEST = 20_000
"""Characters of the longest reply that is read."""

_TEXT = r"(?:(?!</?think>|</?answer>).)*"
_ANSWER = rf"<answer>(?P<answer>{_TEXT})</answer>"
_FORMS: dict[Style, re.Pattern[str]] = {
    # Some chat templates write the opening <think> into the prompt.
    "full": re.compile(rf"(?:<think>)?(?P<thought>{_TEXT})</think>\s*{_ANSWER}", re.DOTALL),
    "compact": re.compile(_ANSWER, re.DOTALL),
}


def read_plan(problem: PlanProblem, reply: str, style: Style) -> Plan | None:
    """The plan in a reply to a problem; None where the reply has another form or hides something, or the plan is empty,
    too long, or of other words than the problem's."""
    if len(reply) > LONGEST:
        return None
    read = _FORMS[style].fullmatch(reply.strip())
    if not read or disguise(reply) or (style == "full" and not read["thought"].strip()):
        return None
    return split_words(problem, read["answer"], style)


def split_words(problem: PlanProblem, text: str, style: Style) -> Plan | None:
    """The words of a plan: joined in the compact style, else separated by single spaces. None if it is no plan."""
    if style == "full":
        words = text.strip().split(" ")
        known = all(re.fullmatch(problem.word, word, re.ASCII) for word in words[: LONGEST_PLAN + 1])
    else:
        known = len(text) <= 10 * LONGEST_PLAN and re.fullmatch(f"(?:{problem.word})+", text) is not None
        words = re.findall(problem.word, text) if known else []
    return tuple(words) if known and len(words) <= LONGEST_PLAN else None


def join_words(plan: Plan, style: Style) -> str:
    """A plan as it stands in an answer."""
    return ("" if style == "compact" else " ").join(plan)


def write_answer(answer: str, style: Style, thought: str = "In short.") -> str:
    """A reply in the form asked for, of any answer."""
    written = f"<answer>{answer}</answer>"
    return written if style == "compact" else f"<think>{thought}</think>\n{written}"


def write_reply(problem: PlanProblem, plan: Plan, style: Style) -> str:
    """A reply of a plan; its reasoning carries the plan out step by step."""
    return write_answer(join_words(plan, style), style, think(problem, plan))


def think(problem: PlanProblem, plan: Plan) -> str:
    """An account of a plan, step by step, and of its cost."""
    try:
        run = problem.run(plan)
    except BrokenRuleError:
        return f"I try {' '.join(plan)}."
    return "\n".join((*(f"{step}." for step in run.steps), f"That makes {run.cost} {problem.price}."))
