"""Nim in words: positions and moves as texts, in few tokens for a small model (`compact`) or explained (`full`)."""

import re
from typing import Literal

from cortex.domains.disguise import disguise
from cortex.domains.games.nim_rules import HEAPS, Move, Position

Style = Literal["full", "compact"]

_RULES = (
    "Two players take sticks from heaps in turns. A turn takes sticks of one heap alone, {limit}. Whoever takes the "
    "last stick of all wins. You move next. Reason step by step inside <think> tags. Then give your move inside "
    "<answer> tags: the heap's letter, and the number of sticks that you leave in it, such as `b 2`."
)
_MOVE = r"(?P<heap>[a-h]) (?P<left>0|[1-9]\d{0,2})"
_REPLY: dict[Style, re.Pattern[str]] = {
    # Some chat templates write the opening <think> into the prompt.
    "full": re.compile(rf"(?:<think>)?(?:(?!</?think>|</?answer>).)*\S</think>\s*<answer>{_MOVE}</answer>", re.DOTALL),
    "compact": re.compile(_MOVE),
}
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
    text = f"{HEAPS[move[0]]} {move[1]}"
    return text if style == "compact" else f"<think>{thought}</think>\n<answer>{text}</answer>"


def read_move(reply: str, style: Style) -> Move | None:
    """The move in a reply, legal or not; None where it has another form."""
    read = _REPLY[style].fullmatch(reply.strip())
    if not read or disguise(reply):
        return None
    return HEAPS.index(read["heap"]), int(read["left"])
