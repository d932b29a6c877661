"""Chess as a domain: a position is the question, a move the answer, judged by the rules and by an engine's values."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, PrivateAttr

from cortex.domains.chess.board import Board
from cortex.domains.chess.game_positions import Turn, all_games, turns_of
from cortex.domains.chess.players import greedy_move, random_move
from cortex.domains.chess.uci_engine import HIGHEST, Engine
from cortex.domains.data_words import DataWords, SourceTerms
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.label_finding import Finding
from cortex.domains.question import Example, Message, Question, Split
from cortex.domains.reward_parts import RewardPart
from cortex.domains.turn_form import INSTRUCTIONS, Style, read_turn, write_turn
from cortex.errors import ConfigError
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.section import Items, Section, UserPath
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

_TASK = (
    "You play chess. Find the best move for the side to move in the position below, which is given as FEN. "
    f"{INSTRUCTIONS}: the move in UCI's notation, such as `e2e4`, `e1g1` to castle, or `e7e8q` to promote."
)

CLEAR = 500
"""Centipawns lost by a move that counts as wholly wrong: about a rook, which decides a game."""


class Judge(Section):
    """An engine that values every legal move of a position when the examples are made."""

    program: str = "stockfish"
    """The engine's program: a name on the PATH, or a path. It speaks UCI. Stockfish is under the GPL, and no part of
    the kit."""
    nodes: int = Field(default=20_000, ge=100, le=100_000_000)
    """Nodes that are searched for each position, all of its moves together."""
    splits: Items[Split] = ("validation", "test")
    """Splits whose positions are valued. GRPO needs `train`, too, where better moves than the games' own shall earn."""


class Chess(Domain):
    """Moves of chess, from games of PGN files or generated ones."""

    kind: Literal["chess"] = "chess"
    """Names this domain."""
    games: Items[UserPath] = ()
    """PGN files to learn from and to be judged by. Without any, games of scripted players are generated."""
    generated: int = Field(default=100, ge=10, le=100_000)
    """Games that are generated where no files are named."""
    careless: float = Field(default=0.2, ge=0, le=1)
    """Share of the turns in generated games at which any legal move is made."""
    per_game: int = Field(default=10, ge=1, le=1000)
    """Positions of one game at most, drawn from all of its turns."""
    engine: Judge | None = None
    """The judge of centipawns. None: moves are judged by legality and by the games' own moves."""
    style: Style = "full"
    """Form of the prompts: explained (`full`), or the position alone (`compact`)."""
    examples: int = Field(default=4000, ge=10, le=5_000_000)
    """Training positions at most."""
    validation_examples: int = Field(default=200, ge=8, le=100_000)
    """Validation positions at most."""
    test_examples: int = Field(default=500, ge=10, le=100_000)
    """Test positions at most."""
    legal_weight: float = Field(default=0.2, ge=0, le=1)
    """Reward for a legal move in the form asked for, beside 1 for the best one."""

    scale: ClassVar[Scale] = Scale(
        loss="move loss", skill="skill", clusters="games", reference="random", rivals=("greedy",), replies="moves"
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("legal", "Legal moves", of="legal", form=".1%"),
        Measure("matched", "The game's own move", of="matched", form=".1%"),
        Measure("centipawns", "Centipawns lost", of="centipawns", form=".0f", bounds=(0.0, 2.0 * HIGHEST)),
    )

    _honest: dict[tuple[tuple[str, float], ...], str] = PrivateAttr(default_factory=dict[Any, str])

    def check(self, settings: Settings) -> None:
        for path in self.games:
            if not path.is_file():
                raise ConfigError(f"domain.games: there is no file {path}: name PGN files, or leave `games` out")
        if self.engine:
            with Engine(self.engine.program, self.engine.nodes):
                pass

    def files(self) -> tuple[Path, ...]:
        return tuple(self.games)

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.example_columns import examples_frame

        turns = self._turns(seed)
        judging = Engine(self.engine.program, self.engine.nodes) if self.engine else nullcontext(None)
        with judging as engine:
            examples = [self._example(turn, engine) for turn in turns]
            judge = {"engine": engine.name, "nodes": self.engine.nodes} if engine and self.engine else None
        source = {"name": "chess", "seed": seed, "generated": not self.games, "judge": judge}
        frame = examples_frame(examples, [turn.game for turn in turns])
        summary = f"positions of {len({turn.game for turn in turns}):,} games"
        return Built(frame, source, simulated=not self.games, summary=summary)

    def grade(self, example: Example, reply: str) -> Graded:
        move, truth = self._move(example, reply), _truth(example)
        matched = move is not None and move == truth["played"]
        lost = 2.0 * HIGHEST if move is None else 0.0
        loss = 1.0 - matched
        if move is not None and truth["values"]:
            lost = float(max(truth["values"].values()) - truth["values"][move])
            loss = min(1.0, lost / CLEAR)
        legal = float(move is not None)
        numbers = {"legal": legal, "matched": float(matched), "centipawns": lost}
        return Graded(loss, move is not None, {"move": 1.0 - loss, "legal": legal}, numbers)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        worth = f"1 - centipawns lost / {CLEAR}, at least 0" if self.engine else "1 for the game's own move, else 0"
        return (
            RewardPart("move", 1.0, worth, elicits="the move that is likeliest best"),
            RewardPart("legal", self.legal_weight, "1 for a legal move in the form asked for, else 0"),
        )

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str:
        belief = tuple((example.id, share) for example, share in believed)
        if belief not in self._honest:
            # The games' moves alone: all legal ones of all positions would be thousands.
            tried = sorted({_truth(example)["played"] for example, _ in believed})
            expected: dict[str, float] = defaultdict(float)
            for example, share in believed:
                for text in tried:
                    expected[text] += share * self.reward(self.grade(example, self._reply(text)))
            self._honest[belief] = max(tried, key=expected.__getitem__)
        return self._reply(self._honest[belief])

    def imitable(self, question: Question, reply: str) -> Finding:
        if self._move(question, reply) is None:
            return Finding("rejected", ("not a legal move in the form asked for",))
        return Finding("accepted")

    def own_reply(self, example: Example) -> str:
        return self._reply(_truth(example)["played"])

    def script(self, question: Question, seed: int) -> str:
        fen = _fen(question)
        if not _legal(fen):
            return "There is no move."
        return self._reply(str(greedy_move(Board.read(fen), random.Random(f"{seed} {fen}"))))

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.example_columns import read_rows

        asked = list(read_rows(test))
        players = {"random": random_move, "greedy": greedy_move}
        return {
            name: [
                self.grade(example, self._reply(str(player(Board.read(_fen(example)), random.Random(example.id)))))
                for example in asked
            ]
            for name, player in players.items()
        }

    def exemplars(self, example: Example) -> Exemplars:
        truth = _truth(example)
        values: dict[str, int] = truth["values"] or {truth["played"]: 0}
        gold = self._reply(max(sorted(values), key=values.__getitem__))
        gaming = {
            "nothing": "",
            "resigns": "I resign",
            "two moves": f"{gold} {gold}",
            "the position again": example.text,
            "no move": self._reply("a1a1"),
        }
        return Exemplars(gold, gaming=gaming)

    def truth_words(self, example: Example) -> str:
        return f"the game went on with {_truth(example)['played']}"

    def notes(self) -> tuple[str, ...]:
        judged = (
            f"The loss is the centipawns that a move loses against the engine's best one, as a share of {CLEAR}, at "
            f"most 1. The engine searched {self.engine.nodes:,} nodes for each position, on one thread, its memory "
            "cleared before each."
            if self.engine
            else "The loss is 0 for the move that was played in the game, else 1: no engine has judged the moves."
        )
        return (
            judged,
            "`random` makes any legal move, `greedy` the one that gains the most material at once. No game is in two "
            "splits, and no position is asked twice.",
        )

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        terms = "Moves of games are facts; a collection of them may have terms of its own: name them."
        words = "An example is a position of a game of chess, and the move that was played."
        return DataWords(words, (SourceTerms("chess", terms),))

    def card(self) -> CardWords:
        return CardWords(
            what="answers a position of chess with a move.",
            task="Playing chess",
            dataset_type="chess",
            tags=("chess", "games"),
            limits=("It has been judged move by move on positions of games, and has played no games.",),
        )

    def small(self) -> Self:
        few = {"games": (), "generated": 20, "engine": None, "style": "compact"}
        return self.model_copy(update={**few, "examples": 300, "validation_examples": 40, "test_examples": 80})

    def _turns(self, seed: int) -> list[Turn]:
        counts: dict[Split, int] = {
            "train": self.examples,
            "validation": self.validation_examples,
            "test": self.test_examples,
        }
        games = all_games(self.games, self.generated, self.careless, seed)
        return list(turns_of(games, counts, self.per_game, seed))

    def _example(self, turn: Turn, engine: Engine | None) -> Example:
        judged = engine and self.engine and turn.split in self.engine.splits
        values: dict[str, JsonValue] | None = dict(engine.values(turn.board)) if engine and judged else None
        truth: dict[str, JsonValue] = {"played": str(turn.played), "values": values}
        return Example(turn.id, (Message("user", self._question(turn.board)),), truth, turn.split)

    def _question(self, board: Board) -> str:
        return str(board) if self.style == "compact" else f"{_TASK}\n\n{board}"

    def _reply(self, move: str) -> str:
        return write_turn(move, self.style, "this looks best")

    def _move(self, question: Question, reply: str) -> str | None:
        """The legal move in a reply."""
        turn = read_turn(reply, self.style)
        return turn if turn in _legal(_fen(question)) else None


def _fen(question: Question) -> str:
    return question.text.strip().rpartition("\n")[2]


def _truth(example: Example) -> dict[str, Any]:
    assert isinstance(example.truth, dict)
    return example.truth


@lru_cache(maxsize=8192)
def _legal(fen: str) -> frozenset[str]:
    """The legal moves of a position; none of a text that is no position."""
    try:
        return frozenset(map(str, Board.read(fen).moves()))
    except ValueError:
        return frozenset()
