"""Games of several players, all of whom one model plays in training."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from cortex.domains.question import Conversation
from cortex.evaluation.graded import Graded


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
