"""Nim under way: against a scripted player, and of two players whom one model plays."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex.domains.episode import Episode
from cortex.domains.games.nim_rules import (
    Move,
    Position,
    after,
    drawn_move,
    legal_moves,
    perfect_move,
    winning_moves,
)
from cortex.domains.games.nim_words import read_move, read_position, write_position, write_question
from cortex.domains.match import Match
from cortex.domains.question import Conversation, Message
from cortex.domains.turn_form import Style
from cortex.evaluation.graded import Graded

OPPONENTS: dict[str, Callable[[Position, int | None, random.Random], Move]] = {
    "perfect": perfect_move,
    "random": drawn_move,
}
"""Scripted players by name."""


@dataclass(frozen=True)
class Table:
    """The rules of a game, and the form of what is said."""

    take: int | None
    style: Style

    def played(self, position: Position, reply: str) -> Position | None:
        """The position after a reply; None where its move cannot be read, or is against the rules."""
        move = read_move(reply, self.style)
        return after(position, move) if move in legal_moves(position, self.take) else None


class NimEpisode(Episode):
    """A game against a scripted player, whose moves follow from the position and the game's own name alone."""

    def __init__(self, table: Table, position: Position, opponent: str, name: str) -> None:
        self._table, self._position, self._opponent, self._name = table, position, opponent, name

    def step(self, reply: str) -> tuple[Message, ...] | None:
        position = self._table.played(self._position, reply)
        if position is None or not any(position):
            return None
        draw = random.Random(f"{self._name} {position}")
        self._position = after(position, OPPONENTS[self._opponent](position, self._table.take, draw))
        if not any(self._position):
            return None
        return (Message("user", write_position(self._position, self._table.style)),)


class NimMatch(Match):
    """A game of two players; the first continues the example's own conversation."""

    def __init__(self, table: Table, question: Conversation) -> None:
        self._table = table
        self._position = read_position(question[-1].content)
        self._question = question
        self._moved: list[list[tuple[Position, str]]] = [[], []]
        self._mover = 0
        self._winner: int | None = None

    def to_move(self) -> tuple[int, Conversation] | None:
        if self._winner is not None:
            return None
        if self._moved[self._mover]:
            text = write_position(self._position, self._table.style)
        elif self._mover == 0:
            return 0, self._question
        else:
            text = write_question(self._position, self._table.style, self._table.take)
        return self._mover, (Message("user", text),)

    def move(self, reply: str) -> None:
        self._moved[self._mover].append((self._position, reply))
        position = self._table.played(self._position, reply)
        other = 1 - self._mover
        if position is None:
            self._winner = other
        elif not any(position):
            self._winner = self._mover
        else:
            self._position, self._mover = position, other

    def grades(self) -> tuple[Graded, ...]:
        return tuple(grade_moves(self._table, self._moved[seat], won=self._winner == seat) for seat in (0, 1))


def moves_of(question: Conversation, turns: Conversation) -> list[tuple[Position, str]]:
    """Each reply among the turns after a question, with the position that it was given at."""
    moves: list[tuple[Position, str]] = []
    told = question[-1].content
    for turn in turns:
        if turn.role == "assistant":
            moves.append((read_position(told), turn.content))
        else:
            told = turn.content
    return moves


def grade_moves(table: Table, moves: Sequence[tuple[Position, str]], *, won: bool) -> Graded:
    """Judge a player's moves in one game.

    The loss is 1 less the share of winning moves, of the turns at which there was one; without any such turn it is 0
    for legal moves.
    """
    legal = all(table.played(position, reply) is not None for position, reply in moves)
    best = [winning_moves(position, table.take) for position, _ in moves]
    chances = [
        read_move(reply, table.style) in won_by for (_, reply), won_by in zip(moves, best, strict=True) if won_by
    ]
    share = sum(chances) / len(chances) if chances else float(legal)
    numbers = {"winning": share, "won": float(won), "legal": float(legal), "turns": float(len(moves))}
    return Graded(1 - share, legal, {"result": float(won), "legal": float(legal)}, numbers)
