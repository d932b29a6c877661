"""Nim as a game of the domain: its section of a profile, its examples, and its scripted players."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from cortex.domains.domain import Exemplars
from cortex.domains.games.game import Drawn, Game, Player
from cortex.domains.games.nim_drawing import draw_games
from cortex.domains.games.nim_play import NimEpisode, NimMatch, Table, grade_moves, moves_of
from cortex.domains.games.nim_rules import (
    HEAPS,
    Move,
    drawn_move,
    greedy_move,
    legal_moves,
    perfect_move,
    winning_moves,
)
from cortex.domains.games.nim_words import read_move, read_position, write_move
from cortex.domains.question import Conversation, Example, Question, Split
from cortex.evaluation.graded import Graded


class Nim(Game):
    """Nim in normal play: whoever takes the last stick wins."""

    name: Literal["nim"] = "nim"
    """Names this game."""
    heaps: int = Field(default=3, ge=1, le=len(HEAPS))
    """Number of heaps."""
    largest: int = Field(default=12, ge=2, le=100)
    """Sticks of the largest heap at the start; every heap has one at least."""
    take: int | None = Field(default=None, ge=1)
    """Sticks that a turn may take at most. None: any number of one heap."""
    test_share: float = Field(default=0.3, gt=0, lt=0.9)
    """Share of the starting positions, whatever the order of their heaps, that are held out for the test; a third as
    many are held out for validations."""

    result: ClassVar[str] = "1 for a game won, else 0; of a single move, 1 where it wins if no mistake follows"
    note: ClassVar[str] = (
        "The loss is 1 less the share of winning moves among the turns that had one, by the nim-sum. `random` makes "
        "any legal move, `greedy` takes as many sticks as it may of the largest heap. Test games start from positions "
        "from which no training game starts, and which none of those to learn from leads to: half of them against a "
        "player without a mistake, half against a random one."
    )

    @property
    def table(self) -> Table:
        """The rules and the form."""
        return Table(self.take, self.style)

    def draw(self, counts: Mapping[Split, int], faults: float, seed: int) -> list[Drawn]:
        def teach(conversation: Conversation) -> str:
            return self.script(Question("", conversation), faults, seed)

        return draw_games(self.table, self.heaps, self.largest, self.test_share, counts, teach, seed)

    def episode(self, example: Example) -> NimEpisode:
        told = example.truth if isinstance(example.truth, dict) else {}
        opponent = str(told.get("opponent", "perfect"))
        return NimEpisode(self.table, read_position(example.text), opponent, example.id)

    def match(self, example: Example) -> NimMatch:
        return NimMatch(self.table, example.messages)

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        moves = moves_of(example.messages, turns)
        last = self.table.played(*moves[-1])
        return grade_moves(self.table, moves, won=last is not None and not any(last))

    def grade(self, example: Example, reply: str) -> Graded:
        position = read_position(example.text)
        won = read_move(reply, self.style) in winning_moves(position, self.take)
        return grade_moves(self.table, [(position, reply)], won=won)

    def allows(self, question: Question, reply: str) -> bool:
        return self.table.played(read_position(question.text), reply) is not None

    def script(self, question: Question, faults: float, seed: int) -> str:
        position = read_position(question.text)
        if not legal_moves(position, self.take):
            return "There is no move."
        said = [message.content for message in question.messages if message.role != "system"]
        draw = random.Random(f"{seed} {said}")
        if draw.random() < faults:
            return write_move(greedy_move(position, self.take), self.style, "the most sticks of the largest heap")
        return write_move(perfect_move(position, self.take, draw), self.style, "a nim-sum of 0 for the other")

    def players(self) -> Mapping[str, Player]:
        take, style = self.take, self.style

        def drawn(conversation: Conversation, draw: random.Random) -> str:
            return write_move(drawn_move(read_position(conversation[-1].content), take, draw), style)

        def greedy(conversation: Conversation, draw: random.Random) -> str:
            return write_move(greedy_move(read_position(conversation[-1].content), take), style)

        return {"random": drawn, "greedy": greedy}

    def honest_reply(self, believed: Sequence[tuple[Example, float]], reward: Callable[[Graded], float]) -> str:
        won, legal = (reward(Graded(0.0, True, {"result": result, "legal": 1.0})) for result in (1.0, 0.0))
        expected: dict[Move, float] = defaultdict(float)
        for example, share in believed:
            position = read_position(example.text)
            winning = winning_moves(position, self.take)
            for move in legal_moves(position, self.take):
                expected[move] += share * (won if move in winning else legal)
        return write_move(max(sorted(expected), key=expected.__getitem__), self.style)

    def exemplars(self, example: Example) -> Exemplars | None:
        winning = winning_moves(read_position(example.text), self.take)
        if not winning:
            return None
        gold = write_move(winning[0], self.style)
        gaming = {
            "nothing": "",
            "resigns": "I resign",
            "two moves": f"{gold} {gold}",
            "the position again": example.text,
            "no sticks": write_move((0, read_position(example.text)[0]), self.style),
        }
        return Exemplars(gold, gaming=gaming)
