"""Nim in words: positions and moves as texts, in few tokens for a small model (`compact`) or explained (`full`)."""

import re

from cortex.domains.games.nim_rules import HEAPS, Move, Position
from cortex.domains.turn_form import INSTRUCTIONS, Style, read_turn, write_turn

_RULES = (
    "Two players take sticks from heaps in turns. A turn takes sticks of one heap alone, {limit}. Whoever takes the "
    f"last stick of all wins. You move next. {INSTRUCTIONS}: the heap's letter, and the number of sticks that you "
    "leave in it, such as `b 2`."
)
_MOVE = re.compile(r"([a-h]) (0|[1-9]\d{0,2})")
_HEAP = re.compile(r"\d+")


def write_question(position: Position, style: Style, take: int | None) -> str:
    """The question of a game's first turn."""
    if style == "compact":
        return write_position(position, style)
    limit = "at least one" if take is None else f"from one to {take}"
    return f"{_RULES.format(limit=limit)}\n\n{write_position(position, style)}"


def write_position(position: Position, style: Style) -> str:
    """A position, as it is told after each of the other player's turns."""
    if style == "compact":
        return " ".join(map(str, position))
    return ", ".join(f"heap {HEAPS[index]}: {sticks}" for index, sticks in enumerate(position))


def read_position(told: str) -> Position:
    """The position in the last line of what a player is told; empty where there is none."""
    return tuple(int(sticks) for sticks in _HEAP.findall(told.strip().rpartition("\n")[2]))


def write_move(move: Move, style: Style, thought: str = "step by step") -> str:
    """A reply with a move."""
    return write_turn(f"{HEAPS[move[0]]} {move[1]}", style, thought)


def read_move(reply: str, style: Style) -> Move | None:
    """The move in a reply, legal or not; None where it has another form."""
    read = _MOVE.fullmatch(read_turn(reply, style) or "")
    return (HEAPS.index(read[1]), int(read[2])) if read else None
