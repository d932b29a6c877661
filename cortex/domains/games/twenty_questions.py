"""Twenty questions as a game of the domain: a player asks an oracle about attributes of a thing, and guesses it."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import count, pairwise
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from cortex.domains.domain import Exemplars
from cortex.domains.episode import Episode
from cortex.domains.games.game import Drawn, Game, Player
from cortex.domains.games.things import Exchange, World, answer
from cortex.domains.question import Conversation, Example, Message, Question, Split
from cortex.domains.turn_form import INSTRUCTIONS, write_turn
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.section import Items

FEWEST = 2
"""Things that each split needs."""


class Questions(Game):
    """Twenty questions: ask an oracle about a hidden thing's attributes, one value at a time, and guess it."""

    name: Literal["questions"] = "questions"
    """Names this game."""
    attributes: dict[str, Items[str]] = Field(
        default={
            "size": ("small", "middling", "big"),
            "colour": ("red", "green", "blue", "white"),
            "shape": ("cube", "ball", "cone", "ring"),
            "stuff": ("wood", "glass", "iron"),
        },
        min_length=2,
    )
    """Values of each attribute, each a word of its own. A thing has one of each, and its name is these words."""
    turns: int = Field(default=12, ge=2, le=50)
    """Turns of a game, the guess included. Fewer than the values that may have to be asked about make it a gamble."""
    test_share: float = Field(default=0.3, gt=0, lt=0.9)
    """Share of the things that are held out for the test, each for one game; a third as many are for validations."""

    result: ClassVar[str] = "1 for the right guess, else 0"
    note: ClassVar[str] = (
        "The loss is 1 for a game without the right guess, else 0. `random` asks about any value or guesses any thing; "
        "`greedy` asks about the first value of each attribute once, and then guesses. No training game hides a thing "
        "that a test game hides."
    )

    @model_validator(mode="after")
    def _tells_values_apart(self) -> Self:
        values = [value for some in self.attributes.values() for value in some]
        wrong = next((value for value in values if values.count(value) > 1 or not value.isalpha()), None)
        if wrong is not None:
            raise ValueError(
                f"attributes: {wrong!r} is there twice, or is no single word: give each value its own word"
            )
        if any(len(some) < 2 for some in self.attributes.values()):
            raise ValueError("attributes: one has a single value, about which there is nothing to ask: give it two")
        return self

    @property
    def world(self) -> World:
        """The things, and the form of what is said."""
        return World(self.attributes, self.style)

    def draw(self, counts: Mapping[Split, int], faults: float, seed: int) -> list[Drawn]:
        draw = random.Random(f"{seed} questions")
        things = self.world.things()
        draw.shuffle(things)
        test = round(len(things) * self.test_share)
        held = {"test": things[:test], "validation": things[test : test + test // 3]}
        train = things[test + test // 3 :]
        if min(len(train), *map(len, held.values())) < FEWEST:
            raise DataError(
                f"domain.game: {len(things)} things are too few for three splits of {FEWEST}: give `attributes` more "
                "values"
            )
        found: list[Drawn] = []
        for number in count():
            if len(found) >= counts["train"]:
                break
            found += self._played(f"train/{number}", draw.choice(train), faults, seed)
        found = found[: counts["train"]]
        for split in ("validation", "test"):
            hidden = held[split][: counts[split]]
            found += [
                (Example(f"{split}/{at}", self._opening(), thing, split), thing) for at, thing in enumerate(hidden)
            ]
        return found

    def episode(self, example: Example) -> Episode:
        return Oracle(self.world, str(example.truth), self.turns)

    def match(self, example: Example) -> None:
        return None

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        world, replies = self.world, [turn.content for turn in turns if turn.role == "assistant"]
        legal = all(world.asked(reply) or world.guessed(reply) for reply in replies)
        right = legal and world.guessed(replies[-1]) == example.truth
        numbers = {"winning": float(right), "won": float(right), "legal": float(legal), "turns": float(len(replies))}
        return Graded(1.0 - right, legal, {"result": float(right), "legal": float(legal)}, numbers)

    def grade(self, example: Example, reply: str) -> Graded:
        return self.grade_turns(example, (Message("assistant", reply),))

    def allows(self, question: Question, reply: str) -> bool:
        return bool(self.world.asked(reply) or self.world.guessed(reply))

    def script(self, question: Question, faults: float, seed: int) -> str:
        exchanges = read_exchanges(question.messages)
        left = self.world.candidates(exchanges)
        draw = random.Random(f"{seed} {exchanges}")
        open_ = [values for values in left if len(values) > 1]
        # The bad habit: with one attribute left to find out, it loses patience, and guesses.
        hasty = len(open_) == 1 and draw.random() < faults
        if open_ and not hasty and len(exchanges) < self.turns - 1:
            return write_turn(f"{open_[0][0]}?", self.style, "not known yet")
        return write_turn(" ".join(values[0] if values else "" for values in left), self.style, "time to guess")

    def players(self) -> Mapping[str, Player]:
        world = self.world
        values = [value for some in self.attributes.values() for value in some]

        def drawn(conversation: Conversation, draw: random.Random) -> str:
            turn = f"{draw.choice(values)}?" if draw.random() < 0.5 else draw.choice(world.things())
            return write_turn(turn, self.style, "any")

        def greedy(conversation: Conversation, draw: random.Random) -> str:
            exchanges = read_exchanges(conversation)
            firsts = [some[0] for some in self.attributes.values()]
            if len(exchanges) < min(len(firsts), self.turns - 1):
                return write_turn(f"{firsts[len(exchanges)]}?", self.style, "one of each")
            return write_turn(" ".join(left[0] for left in world.candidates(exchanges)), self.style, "enough")

        return {"random": drawn, "greedy": greedy}

    def honest_reply(self, believed: Sequence[tuple[Example, float]], reward: Callable[[Graded], float]) -> str:
        shares = dict.fromkeys(self.world.things(), 0.0)
        for example, share in believed:
            shares[str(example.truth)] += share
        return write_turn(max(shares, key=shares.__getitem__), self.style, "the likeliest")

    def exemplars(self, example: Example) -> Exemplars:
        gold = write_turn(str(example.truth), self.style, "this")
        two = " ".join(self.world.things()[:2])
        return Exemplars(gold, gaming={"nothing": "", "two guesses": two, "asks for the name": "what is it?"})

    def _opening(self) -> Conversation:
        if self.style == "compact":
            return (Message("user", f"turns {self.turns}"),)
        named = "; ".join(f"{name}: {', '.join(values)}" for name, values in self.attributes.items())
        question, guess = next(iter(self.attributes.values()))[0], self.world.things()[-1]
        text = (
            f"I think of a thing that has one value of each attribute ({named}). Find it out in {self.turns} turns, "
            f"the guess included. A turn asks about one value, such as `{question}?`, and I say yes or no; or it "
            "guesses the thing, all its values in the order above, such as "
            f"`{guess}`, which ends the game. {INSTRUCTIONS}."
        )
        return (Message("user", text),)

    def _played(self, name: str, secret: str, faults: float, seed: int) -> list[Drawn]:
        """The turns of one scripted game."""
        said, found, oracle = self._opening(), list[Drawn](), Oracle(self.world, secret, self.turns)
        for turn in count():
            example = Example(f"{name}/{turn}", said, secret)
            found.append((example, secret))
            reply = self.script(example, faults, seed)
            told = oracle.step(reply)
            if told is None:
                return found
            said = (*said, Message("assistant", reply), *told)
        raise AssertionError("an oracle's game ends")


class Oracle(Episode):
    """The scripted oracle, which knows the thing. A guess, a turn of another form, or the last turn ends the game."""

    def __init__(self, world: World, secret: str, turns: int) -> None:
        self._world, self._secret, self._left = world, secret, turns

    def step(self, reply: str) -> tuple[Message, ...] | None:
        self._left -= 1
        value = self._world.asked(reply)
        if value is None or not self._left:
            return None
        said = answer(self._secret, value)
        text = (
            f"{said} {self._left}" if self._world.style == "compact" else f"{said.title()}. Turns left: {self._left}."
        )
        return (Message("user", text),)


def read_exchanges(conversation: Conversation) -> list[Exchange]:
    """The replies of a conversation, each with what the oracle said to it."""
    return [(said.content, told.content) for said, told in pairwise(conversation) if said.role == "assistant"]
