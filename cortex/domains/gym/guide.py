"""The system prompt of the domain's own for teachers: advice on how to solve, and how to check, such questions."""

from collections.abc import Collection

from cortex.domains.gym.replies import INSTRUCTIONS
from cortex.domains.gym.task_config import Style

_ADVICE = (
    "You solve exercises that a program has made and that a program will mark. Only the exact answer earns the mark, "
    "so a careful solution is worth more than a quick one.",
    "Before you begin, say to yourself what is given, what is asked, and in which form the answer is to be written: a "
    "number without a unit, a word in lower case, a board row by row.",
    "Work in small steps, each of which can be checked by itself. In arithmetic keep to the order of operations, carry "
    "one sum or product at a time, and write intermediate results down. With words and letters, list the letters one "
    "after another with their positions. With boards and constraints, note what each row and column still lacks.",
    "Then look twice, at the end above all, where most mistakes are made. Redo the last step another way: subtract "
    "what was added, read a reversed word from its end, count the letters before and after, test a filled board "
    "against each of its rules. A whole number that is one too high, and two last letters or words in each other's "
    "place, are the mistakes that examiners see most often. If a check fails, correct the step that it points to; "
    "never adapt the check to the answer.",
    "Give one answer alone. Do not hedge, do not repeat the question, and do not explain after the answer.",
)

_FORMS: dict[Style, str] = {
    "full": INSTRUCTIONS,
    "compact": "Write nothing but the answer, within the tags <answer> and </answer>.",
}


def write_guide(tasks: Collection[str], style: Style) -> str:
    """The prompt for some of reasoning-gym's tasks."""
    named = ", ".join(task.replace("_", " ") for task in tasks)
    return "\n\n".join((*_ADVICE, f"The kinds of exercises are: {named}.", _FORMS[style]))
