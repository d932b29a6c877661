"""Games from PGN files: their moves, read from standard algebraic notation ("PGN Specification", 1994, section 8)."""

import re
from collections.abc import Iterator
from pathlib import Path

from cortex.domains.chess.board import START, Board, Move, name_square
from cortex.errors import DataError

_ASIDE = re.compile(r"\{[^}]*\}|;[^\n]*|\$\d+|^%[^\n]*", re.MULTILINE)
"""Comments, annotations, and lines for other programs."""
_TAG = re.compile(r"^\[(\w+)\s+\"(.*)\"\]\s*$")
_NUMBER = re.compile(r"\d+\.+")
_RESULTS = ("1-0", "0-1", "1/2-1/2", "*")
_SAN = re.compile(
    r"(?P<piece>[NBRQK]?)(?P<column>[a-h]?)(?P<row>[1-8]?)x?(?P<end>[a-h][1-8])(?:=?(?P<becomes>[NBRQ]))?"
)


def read_games(path: Path) -> Iterator[tuple[Board, list[Move]]]:
    """The games of a file, each with its first position and its moves. Variations are left out.

    Raises:
        DataError: a move cannot be played; the message has the file, the game's number, and the move.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, (tags, moves) in enumerate(_split(text), start=1):
        try:
            first = Board.read(tags.get("FEN", START))
            yield first, list(_played(first, moves))
        except ValueError as error:
            raise DataError(f"{path}: game {number}: {error}: mend the file, or take the game out") from error


def read_san(board: Board, text: str) -> Move:
    """The legal move that a text in algebraic notation means.

    Raises:
        ValueError: none, or several.
    """
    plain = text.rstrip("+#!?").replace("0", "O")
    if plain in ("O-O", "O-O-O"):
        found = [move for move in board.moves() if _castles(board, move) == plain]
    else:
        read = _SAN.fullmatch(text.rstrip("+#!?"))
        found = [move for move in board.moves() if read and _means(board, move, read)]
    if len(found) != 1:
        raise ValueError(f"{text!r} is {'no' if not found else 'more than one'} legal move at {board}")
    return found[0]


def _means(board: Board, move: Move, read: re.Match[str]) -> bool:
    column, row = name_square(move.start)
    return (
        board.squares[move.start].upper() == (read["piece"] or "P")
        and name_square(move.end) == read["end"]
        and read["column"] in ("", column)
        and read["row"] in ("", row)
        and move.becomes.upper() == (read["becomes"] or "")
    )


def _castles(board: Board, move: Move) -> str | None:
    if board.squares[move.start] not in "kK" or abs(move.end - move.start) != 2:
        return None
    return "O-O" if move.end > move.start else "O-O-O"


def _played(board: Board, moves: str) -> Iterator[Move]:
    for word in _NUMBER.sub(" ", _without_variations(_ASIDE.sub(" ", moves))).split():
        if word in _RESULTS:
            return
        move = read_san(board, word)
        yield move
        board = board.play(move)


def _without_variations(text: str) -> str:
    kept, depth = list[str](), 0
    for letter in text:
        depth += letter == "("
        if depth == 0:
            kept.append(letter)
        depth -= letter == ")" and depth > 0
    return "".join(kept)


def _split(text: str) -> Iterator[tuple[dict[str, str], str]]:
    """The tags and the moves of each game."""
    tags, moves = dict[str, str](), list[str]()
    for line in text.splitlines():
        tag = _TAG.match(line)
        if tag and any(moved.strip() for moved in moves):
            yield tags, "\n".join(moves)
            tags, moves = {}, []
        if tag:
            tags[tag[1]] = tag[2]
        else:
            moves.append(line)
    if any(moved.strip() for moved in moves):
        yield tags, "\n".join(moves)
