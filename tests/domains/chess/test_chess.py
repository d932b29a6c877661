"""Chess: the rules by known counts of moves, PGN files, grades, and the judge engine."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.chess.board import START, Board
from cortex.domains.chess.domain import Chess, Judge
from cortex.domains.chess.pgn import read_games, read_san
from cortex.domains.chess.uci_engine import Engine
from cortex.domains.question import Example, Message
from cortex.errors import ConfigError, DataError
from cortex.settings import Settings

STOCKFISH = shutil.which("stockfish") or shutil.which("/usr/games/stockfish")
SMALL = Chess(style="compact", generated=12, examples=60, validation_examples=8, test_examples=12)

# Positions that are hard on the rules, with their known counts of moves to each depth (chessprogramming.org, "Perft").
KNOWN = {
    START: (20, 400),
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": (48, 2039),
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": (14, 191),
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": (6, 264),
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": (44, 1486),
}

GAME = """[Event "a game"]
[Result "1-0"]

1. e4 e5 2. Nf3 {a comment (with brackets)} Nc6 3. Bc4 (3. Bb5 a6 (3... Nf6) 4. Ba4) Nf6 $1 4. O-O Bc5 ; to the end
5. c3 O-O 1-0
"""


def count(board: Board, depth: int) -> int:
    return sum(count(board.play(move), depth - 1) for move in board.moves()) if depth else 1


@pytest.mark.parametrize("fen", KNOWN)
def test_as_many_moves_are_legal_as_the_rules_allow(fen: str) -> None:
    board = Board.read(fen)
    assert str(board) == fen
    assert tuple(count(board, depth) for depth in (1, 2)) == KNOWN[fen]


@pytest.mark.parametrize(
    "fen", ["", "8/8/8/8/8/8/8/8 w - - 0 1", START.replace("w", "x"), START.replace("RNBQKBNR", "RNBQKBN")]
)
def test_what_is_no_position_is_refused(fen: str) -> None:
    with pytest.raises(ValueError, match="is no position: write it as FEN"):
        Board.read(fen)


def test_a_file_of_games_is_read_without_comments_and_variations(tmp_path: Path) -> None:
    path = tmp_path / "games.pgn"
    path.write_text(GAME + "\n" + GAME.replace("1-0", "*"))
    first, second = read_games(path)
    assert [str(move) for move in first[1]] == [
        "e2e4",
        "e7e5",
        "g1f3",
        "b8c6",
        "f1c4",
        "g8f6",
        "e1g1",
        "f8c5",
        "c2c3",
        "e8g8",
    ]
    assert first == second


def test_a_game_with_a_move_that_cannot_be_played_is_named(tmp_path: Path) -> None:
    path = tmp_path / "games.pgn"
    path.write_text(GAME + "\n" + GAME.replace("Bc5 ;", "Bd8 ;"))
    with pytest.raises(DataError, match=r"games\.pgn: game 2: 'Bd8' is no legal move at r1bqkb1r/.*: mend the file"):
        list(read_games(path))


def test_a_move_that_several_pieces_could_make_needs_to_say_which() -> None:
    alone, both = (Board.read(f"7k/8/8/8/8/8/{rows} w - - 0 1") for rows in ("8/R3K2R", "4K3/R6R"))
    assert (str(read_san(alone, "Rd1")), str(read_san(both, "Rad1"))) == ("a1d1", "a1d1")
    with pytest.raises(ValueError, match="'Rd1' is more than one legal move"):
        read_san(both, "Rd1")


def test_splits_share_no_game_and_no_position() -> None:
    frame = SMALL.build(0, Settings()).examples
    assert frame["messages"].n_unique() == len(frame)
    games = {split: set(part["cluster"]) for (split,), part in frame.group_by("split")}
    assert not games["test"] & games["train"]


def example(**truth: Any) -> Example:
    return Example("x", (Message("user", START),), truth)


def test_without_an_engine_the_game_s_own_move_is_right_and_illegal_ones_are_invalid() -> None:
    asked = example(played="e2e4", values=None)
    graded = [SMALL.grade(asked, reply) for reply in ("e2e4", "d2d4", "e2e5")]
    assert [(one.loss, one.valid, one.parts["legal"]) for one in graded] == [(0, True, 1), (1, True, 1), (1, False, 0)]


def test_with_an_engine_a_move_loses_its_centipawns() -> None:
    asked = example(played="d2d4", values={"e2e4": 40, "d2d4": 30, "g2g4": -100, "a2a4": -900})
    losses = {reply: SMALL.grade(asked, reply).loss for reply in ("e2e4", "d2d4", "g2g4", "a2a4")}
    assert losses == {"e2e4": 0.0, "d2d4": 0.02, "g2g4": 0.28, "a2a4": 1.0}
    assert SMALL.grade(asked, "g2g4").numbers["centipawns"] == 140


def test_an_engine_that_is_not_installed_is_one_line_with_the_fix() -> None:
    with pytest.raises(ConfigError, match=r"domain\.engine\.program: 'no-such-fish' is not installed: install it"):
        Chess(engine=Judge(program="no-such-fish")).check(Settings())


def test_a_program_that_is_no_engine_is_named() -> None:
    with pytest.raises(ConfigError, match=r"domain\.engine\.program: 'true' ended"):
        Chess(engine=Judge(program="true")).check(Settings())


@pytest.mark.skipif(STOCKFISH is None, reason="expected: Stockfish is an option, and not installed here")
def test_stockfish_gives_the_same_values_each_time_and_finds_the_mate() -> None:
    board = Board.read("6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1")
    assert STOCKFISH
    with Engine(STOCKFISH, 5000) as engine:
        first = engine.values(board)
        engine.values(Board.read(START))
        assert engine.values(board) == first
    with Engine(STOCKFISH, 5000) as engine:
        assert engine.values(board) == first
    assert max(first, key=first.__getitem__) == "d1d8" and first["d1d8"] == 1000
    assert set(first) == {str(move) for move in board.moves()}


@pytest.mark.skipif(STOCKFISH is None, reason="expected: Stockfish is an option, and not installed here")
def test_too_few_nodes_for_all_moves_are_refused() -> None:
    assert STOCKFISH
    with (
        Engine(STOCKFISH, 100) as engine,
        pytest.raises(DataError, match=r"domain\.engine\.nodes: 100 nodes are too few"),
    ):
        engine.values(Board.read(list(KNOWN)[1]))


def test_labels_are_the_games_own_moves() -> None:
    assert SMALL.own_reply(example(played="e2e4", values=None)) == "e2e4"
