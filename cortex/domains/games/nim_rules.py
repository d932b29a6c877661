"""Nim in normal play: players take sticks from one heap in turns, and whoever takes the last stick wins.

Positions are the sticks of each heap. A move names a heap, and the sticks that are left in it.
"""

import random
from functools import lru_cache, reduce
from operator import xor

Position = tuple[int, ...]
Move = tuple[int, int]
"""A heap, from 0, and the sticks that are left in it."""

HEAPS = "abcdefgh"
"""Names of the heaps."""


def legal_moves(position: Position, take: int | None) -> list[Move]:
    """Every move, where a turn takes at most `take` sticks, or any number of one heap."""
    return [
        (heap, left)
        for heap, sticks in enumerate(position)
        for left in range(0 if take is None else max(0, sticks - take), sticks)
    ]


def after(position: Position, move: Move) -> Position:
    """The position that a move leaves."""
    heap, left = move
    return (*position[:heap], left, *position[heap + 1 :])


def nim_sum(position: Position, take: int | None) -> int:
    """The nim-sum of the heaps' Grundy values: whoever has to move at 0 loses, if the other makes no mistake.

    A heap's value is its sticks, where a turn takes at most k sticks modulo k + 1 (Bouton, "Nim, a game with a complete
    mathematical theory", 1901; Berlekamp, Conway and Guy, "Winning Ways", 1982).
    """
    return reduce(xor, (sticks if take is None else sticks % (take + 1) for sticks in position), 0)


@lru_cache(maxsize=65536)
def winning_moves(position: Position, take: int | None) -> tuple[Move, ...]:
    """The moves after which the other player loses; none where the player to move does."""
    return tuple(move for move in legal_moves(position, take) if nim_sum(after(position, move), take) == 0)


def drawn_move(position: Position, take: int | None, draw: random.Random) -> Move:
    """Any legal move."""
    return draw.choice(legal_moves(position, take))


def perfect_move(position: Position, take: int | None, draw: random.Random) -> Move:
    """A winning move, and where there is none any legal one."""
    return draw.choice(winning_moves(position, take) or tuple(legal_moves(position, take)))


def greedy_move(position: Position, take: int | None) -> Move:
    """As many sticks as a turn may take of the largest heap, the first of several."""
    heap = max(range(len(position)), key=lambda index: position[index])
    return heap, 0 if take is None else max(0, position[heap] - take)
