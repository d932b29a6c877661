"""Chess positions and their legal moves, by the laws of the game (FIDE, "Laws of Chess", 2023, articles 3 and 5).

Squares are numbered as FEN lists them: 0 is a8, 7 is h8, 63 is h1. Pieces have FEN's letters, an empty square a dot.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"

_STEPS = {
    "n": ((-2, -1), (-2, 1), (-1, -2), (-1, 2), (1, -2), (1, 2), (2, -1), (2, 1)),
    "b": ((-1, -1), (-1, 1), (1, -1), (1, 1)),
    "r": ((-1, 0), (0, -1), (0, 1), (1, 0)),
}
_STEPS["q"] = _STEPS["k"] = _STEPS["b"] + _STEPS["r"]
_SLIDES = "brq"
_FEN = re.compile(r"([1-8pnbrqkPNBRQK/]+) ([wb]) (-|K?Q?k?q?) (-|[a-h][36]) (\d+) (\d+)")
_ROOKS = {"K": (60, 63), "Q": (60, 56), "k": (4, 7), "q": (4, 0)}
"""Squares of king and rook for each right to castle."""


class Move(NamedTuple):
    """A move from one square to another, with the piece that a pawn becomes."""

    start: int
    end: int
    becomes: str = ""

    def __str__(self) -> str:
        return name_square(self.start) + name_square(self.end) + self.becomes


def name_square(square: int) -> str:
    """The name of a square, such as e4."""
    return f"{'abcdefgh'[square % 8]}{8 - square // 8}"


def number_square(name: str) -> int:
    """The number of a named square."""
    return (8 - int(name[1])) * 8 + "abcdefgh".index(name[0])


@dataclass(frozen=True)
class Board:
    """A position."""

    squares: str
    white: bool
    """White is to move."""
    castling: str
    """Rights to castle that are left, as in FEN; empty for none."""
    passant: int | None
    """The square that a pawn has just passed over."""
    quiet: int
    """Half-moves since the last capture or move of a pawn."""
    number: int
    """The number of the move, from 1."""

    @classmethod
    def read(cls, fen: str) -> "Board":
        """The position of a FEN.

        Raises:
            ValueError: it is no FEN, or has not one king of each side.
        """
        read = _FEN.fullmatch(fen.strip())
        squares = re.sub(r"[1-8]", lambda count: "." * int(count[0]), read[1]) if read else ""
        rows = squares.split("/")
        if not read or [len(row) for row in rows] != [8] * 8 or squares.count("k") != 1 or squares.count("K") != 1:
            raise ValueError(f"{fen!r} is no position: write it as FEN, such as {START!r}")
        passant = None if read[4] == "-" else number_square(read[4])
        return cls("".join(rows), read[2] == "w", read[3].strip("-"), passant, int(read[5]), int(read[6]))

    def __str__(self) -> str:
        rows = [self.squares[at : at + 8] for at in range(0, 64, 8)]
        places = "/".join(re.sub(r"\.+", lambda dots: str(len(dots[0])), row) for row in rows)
        passant = "-" if self.passant is None else name_square(self.passant)
        return f"{places} {'w' if self.white else 'b'} {self.castling or '-'} {passant} {self.quiet} {self.number}"

    @property
    def check(self) -> bool:
        """The king of the side to move is attacked."""
        return attacked(self.squares, self.squares.index("K" if self.white else "k"), by_white=not self.white)

    def moves(self) -> list[Move]:
        """Every legal move."""
        return [move for move in self._candidates() if not self._leaves_check(move)]

    def play(self, move: Move) -> "Board":
        """The position after a legal move."""
        piece, taken = self.squares[move.start], self.squares[move.end]
        pawn = piece in "pP"
        doubled = pawn and abs(move.end - move.start) == 16
        touched = {move.start, move.end}
        return Board(
            _moved(self.squares, move, self.passant),
            not self.white,
            "".join(right for right in self.castling if not touched & set(_ROOKS[right])),
            (move.start + move.end) // 2 if doubled else None,
            0 if pawn or taken != "." else self.quiet + 1,
            self.number + (not self.white),
        )

    def _leaves_check(self, move: Move) -> bool:
        squares = _moved(self.squares, move, self.passant)
        return attacked(squares, squares.index("K" if self.white else "k"), by_white=not self.white)

    def _candidates(self) -> Iterator[Move]:
        """Moves by the way the pieces move, some of which may leave the king attacked."""
        for start, piece in enumerate(self.squares):
            if piece == "." or piece.isupper() != self.white:
                continue
            if piece in "pP":
                yield from self._pawn_moves(start)
                continue
            for end in reached(self.squares, start, piece.lower()):
                if self.squares[end] == "." or self.squares[end].isupper() != self.white:
                    yield Move(start, end)
        yield from self._castling_moves()

    def _pawn_moves(self, start: int) -> Iterator[Move]:
        ahead, home, last = (-8, 6, 0) if self.white else (8, 1, 7)
        ends: list[int] = []
        if self.squares[start + ahead] == ".":
            ends.append(start + ahead)
            if start // 8 == home and self.squares[start + 2 * ahead] == ".":
                ends.append(start + 2 * ahead)
        for aside in (-1, 1):
            end = start + ahead + aside
            if 0 <= start % 8 + aside < 8:
                taken = self.squares[end]
                if end == self.passant or (taken != "." and taken.isupper() != self.white):
                    ends.append(end)
        for end in ends:
            yield from (Move(start, end, becomes) for becomes in ("qrbn" if end // 8 == last else ("",)))

    def _castling_moves(self) -> Iterator[Move]:
        for right in self.castling:
            king, rook = _ROOKS[right]
            between = range(min(king, rook) + 1, max(king, rook))
            step = 1 if rook > king else -1
            rook_there = self.squares[rook] == ("R" if self.white else "r")
            if right.isupper() != self.white or not rook_there or any(self.squares[at] != "." for at in between):
                continue
            if not any(attacked(self.squares, king + step * far, by_white=not self.white) for far in range(3)):
                yield Move(king, king + 2 * step)


def reached(squares: str, start: int, kind: str) -> Iterator[int]:
    """The squares to which a piece other than a pawn can go from a square, those of any piece in its way included."""
    row, column = divmod(start, 8)
    for down, right in _STEPS[kind]:
        for far in range(1, 8 if kind in _SLIDES else 2):
            to, aside = row + down * far, column + right * far
            if not (0 <= to < 8 and 0 <= aside < 8):
                break
            yield to * 8 + aside
            if squares[to * 8 + aside] != ".":
                break


def attacked(squares: str, square: int, *, by_white: bool) -> bool:
    """True where a side's piece could take on a square."""
    for kind in "nbrqk":
        piece = kind.upper() if by_white else kind
        if any(squares[end] == piece for end in reached(squares, square, kind)):
            return True
    row, column = divmod(square, 8)
    below = row + 1 if by_white else row - 1
    return 0 <= below < 8 and any(
        squares[below * 8 + aside] == ("P" if by_white else "p") for aside in (column - 1, column + 1) if 0 <= aside < 8
    )


def _moved(squares: str, move: Move, passant: int | None) -> str:
    """The squares after a move, with the rook of a castling king and without a pawn that is taken in passing."""
    board, piece = list(squares), squares[move.start]
    becomes = move.becomes.upper() if piece.isupper() else move.becomes
    board[move.start], board[move.end] = ".", becomes or piece
    if piece in "pP" and move.end == passant:
        board[move.end + (8 if piece == "P" else -8)] = "."
    if piece in "kK" and abs(move.end - move.start) == 2:
        short = move.end > move.start
        rook = move.start + (3 if short else -4)
        board[(move.start + move.end) // 2], board[rook] = board[rook], "."
    return "".join(board)
