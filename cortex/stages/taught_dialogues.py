"""A teacher's dialogues: its further turns where a domain's questions take several."""

from collections.abc import Mapping
from typing import Protocol

from cortex.domains.domain import Domain
from cortex.domains.episode import Dialogue
from cortex.domains.question import Conversation, Example, Question
from cortex.teaching.completion import Completion
from cortex.teaching.tool_results import send_results

_TURN = "~"
"""Between an example's id and the number of its turn, in names of requests."""


class Teacher(Protocol):
    """The teacher of a run."""

    def ask(self, part: str, prompts: Mapping[str, Conversation]) -> dict[str, Completion]: ...


def hold_with_teacher(
    domain: Domain,
    part: str,
    questions: Mapping[str, Question],
    opened: Mapping[str, Completion],
    teacher: Teacher,
) -> tuple[dict[str, Completion], dict[str, Conversation]]:
    """The last completion and all turns of each question's dialogue, given the teacher's answers to the questions.

    All dialogues step together. One whose answer is missing or cut off ends there. A teacher is told no truth, and so
    neither is the world.
    """
    held = {
        name: Dialogue(question.messages, domain.episode(Example(name, question.messages, None)))
        for name, question in questions.items()
    }
    last: dict[str, Completion] = {}
    found, turn = dict(opened), 0
    while found:
        last |= found
        for name, completion in found.items():
            held[name].reply(completion.text)
            if completion.kind != "answered":
                held[name].cut()
        turn += 1
        prompts = {
            f"{name}{_TURN}{turn}": send_results(dialogue.prompt) for name, dialogue in held.items() if dialogue.open
        }
        asked = teacher.ask(part, prompts) if prompts else {}
        found = {name.rpartition(_TURN)[0]: completion for name, completion in asked.items()}
    return last, {name: dialogue.turns for name, dialogue in held.items()}
