"""The positions of games as examples: each with the move that was played, no position twice."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cortex.domains.chess.board import START, Board, Move
from cortex.domains.chess.pgn import read_games
from cortex.domains.chess.players import scripted_game
from cortex.domains.example_columns import split_of
from cortex.domains.question import Split

OPENING = 4
"""Half-moves at the start of a game, which many games share, that are no examples."""


class Turn(NamedTuple):
    """One position of a game."""

    id: str
    game: str
    split: Split
    board: Board
    played: Move


Played = tuple[str, Board, Sequence[Move]]
"""A game: its name, its first position, and its moves."""


def all_games(paths: Sequence[Path], generated: int, careless: float, seed: int) -> Iterator[Played]:
    """Every game with its name: those of the files, then the generated ones.

    Raises:
        DataError: as `read_games`.
    """
    for path in paths:
        for number, (first, moves) in enumerate(read_games(path)):
            yield f"{path.stem}-{number}", first, moves
    for number in range(0 if paths else generated):
        yield f"game-{number}", Board.read(START), scripted_game(f"{seed} {number}", careless)


def turns_of(games: Iterator[Played], counts: Mapping[Split, int], per_game: int, seed: int) -> Iterator[Turn]:
    """Some positions of each game, no position twice, and no more of each split than `counts` says.

    A game lies in one split. A position that an earlier one repeats, castling rights and all, is left out.
    """
    seen: set[str] = set()
    left = dict(counts)
    for name, first, moves in games:
        split = split_of(name)
        taken = random.Random(f"{seed} {name}").sample(range(len(moves)), min(per_game, len(moves)))
        position = first
        for at, move in enumerate(moves):
            key = str(position).rsplit(" ", 2)[0]
            if at >= OPENING and at in taken and key not in seen and left[split] > 0:
                seen.add(key)
                left[split] -= 1
                yield Turn(f"{name}/{at}", name, split, position, move)
            position = position.play(move)
        if not any(left.values()):
            return
