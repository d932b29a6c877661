"""Scripted players of chess: they make games to learn from, and the baselines to beat."""

import random
from functools import lru_cache

from cortex.domains.chess.board import START, Board, Move, attacked

WORTH = {"p": 1, "n": 3, "b": 3, "r": 5, "q": 9, "k": 0, ".": 0}
"""Pieces' worth in pawns, as beginners are taught it."""
LONGEST = 40
"""Half-moves after which a scripted game is broken off."""


def greedy_move(board: Board, draw: random.Random) -> Move:
    """The move that gains the most material, less the piece itself where it can be taken; of several any."""
    ranked = [(_gain(board, move), draw.random(), move) for move in board.moves()]
    return max(ranked)[2]


def random_move(board: Board, draw: random.Random) -> Move:
    """Any legal move."""
    return draw.choice(board.moves())


@lru_cache(maxsize=1024)
def scripted_game(seed: str, careless: float) -> tuple[Move, ...]:
    """The moves of a game of two greedy players, who make any move for a share `careless` of their turns."""
    draw, board, moves = random.Random(seed), Board.read(START), list[Move]()
    while len(moves) < LONGEST and board.quiet < 100 and board.moves():
        player = random_move if draw.random() < careless else greedy_move
        moves.append(player(board, draw))
        board = board.play(moves[-1])
    return tuple(moves)


def _gain(board: Board, move: Move) -> int:
    after = board.play(move)
    piece = after.squares[move.end].lower()
    taken = WORTH[board.squares[move.end].lower()] + (WORTH[piece] - 1 if move.becomes else 0)
    risked = WORTH[piece] if attacked(after.squares, move.end, by_white=not board.white) else 0
    mate = 1000 if after.check and not after.moves() else 0
    return taken - risked + mate
