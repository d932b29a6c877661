"""Games of several players, all of whom one model plays in training."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from cortex.domains.episode import Dialogue
from cortex.domains.question import Conversation, Example
from cortex.evaluation.graded import Graded

if TYPE_CHECKING:
    from cortex.domains.domain import Domain


class Match(ABC):
    """One game under way. Each seat sees a conversation of its own, and is rewarded for its own result.

    A match is repeatable: equal replies lead to equal messages and grades. A mistake of a player is no error, but costs
    it the game.
    """

    seats: int = 2
    """Number of players; the first of them answers the example's own question."""

    @abstractmethod
    def to_move(self) -> tuple[int, Conversation] | None:
        """The seat that moves next, with what it is told since its last reply, at first its whole question.

        None at the end. Calls without a move between them give equal results.
        """

    @abstractmethod
    def move(self, reply: str) -> None:
        """Take the reply of the seat to move."""

    def resign(self) -> None:
        """End the game for want of room for the next reply: the seat to move loses it."""
        self.move("")

    @abstractmethod
    def grades(self) -> tuple[Graded, ...]:
        """The grade of each seat, at the end."""


class SoloMatch(Match):
    """The one player of an episode, or of a question that one reply ends, as a match of a single seat."""

    seats = 1

    def __init__(self, domain: "Domain", example: Example) -> None:
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


class RegradedMatch(Match):
    """A match whose grades are changed, such as the names of their parts where a run has several domains."""

    def __init__(self, match: Match, change: Callable[[Graded], Graded]) -> None:
        self._match, self._change, self.seats = match, change, match.seats

    def to_move(self) -> tuple[int, Conversation] | None:
        return self._match.to_move()

    def move(self, reply: str) -> None:
        self._match.move(reply)

    def resign(self) -> None:
        self._match.resign()

    def grades(self) -> tuple[Graded, ...]:
        return tuple(map(self._change, self._match.grades()))
