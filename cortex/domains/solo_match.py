"""The one player of an episode, or of a question that one reply ends, as a match of a single seat."""

from cortex.domains.domain import Domain
from cortex.domains.episode import Dialogue
from cortex.domains.match import Match
from cortex.domains.question import Conversation, Example
from cortex.evaluation.graded import Graded


class SoloMatch(Match):
    """A match with the world alone, which the domain judges at its end."""

    seats = 1

    def __init__(self, domain: Domain, example: Example) -> None:
        self._domain, self._example = domain, example
        self._dialogue = Dialogue(example.messages, domain.episode(example))

    def to_move(self) -> tuple[int, Conversation] | None:
        if not self._dialogue.open:
            return None
        turns = self._dialogue.turns
        replied = [at for at, turn in enumerate(turns) if turn.role == "assistant"]
        return 0, turns[replied[-1] + 1 :] if replied else self._example.messages

    def move(self, reply: str) -> None:
        self._dialogue.reply(reply)

    def resign(self) -> None:
        self._dialogue.cut()

    def grades(self) -> tuple[Graded, ...]:
        return (self._domain.grade_turns(self._example, self._dialogue.turns),)
