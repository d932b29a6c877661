"""Games as a domain: a model plays them against itself to learn, and against scripted players to be judged."""

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from cortex.domains.data_words import DataWords, SourceTerms
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.episode import Dialogue, Episode, hold
from cortex.domains.games.game import Player
from cortex.domains.games.nim import Nim
from cortex.domains.games.twenty_questions import Questions
from cortex.domains.label_finding import Finding
from cortex.domains.match import Match
from cortex.domains.question import Conversation, Example, Question, Split
from cortex.domains.reward_parts import RewardPart
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl


class Games(Domain):
    """Games of turns, with scripted players to learn from and to be judged by."""

    kind: Literal["games"] = "games"
    """Names this domain."""
    game: Annotated[Nim | Questions, Field(discriminator="name")] = Nim()
    """The game, by its `name`, with its rules."""
    examples: int = Field(default=4000, ge=10, le=500_000)
    """Turns of scripted games to learn from; self-play goes on from them."""
    validation_examples: int = Field(default=100, ge=8, le=100_000)
    """Games of a validation."""
    test_examples: int = Field(default=400, ge=10, le=100_000)
    """Games of the test; of twenty questions at most one for each thing that is held out."""
    legal_weight: float = Field(default=0.1, ge=0, le=1)
    """Reward for keeping to the rules and the form asked for, beside 1 for the result of a game."""
    faults: float = Field(default=0.6, ge=0, le=1)
    """Share of a scripted teacher's turns that follow a bad habit: GRPO has to undo what SFT learned of them."""

    scale: ClassVar[Scale] = Scale(
        loss="moves missed", skill="skill", clusters="starting positions", reference="random", rivals=("greedy",)
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("winning", "Winning moves", of="winning", form=".1%"),
        Measure("won", "Games won", of="won", form=".1%"),
        Measure("legal", "Games by the rules", of="legal", form=".1%"),
    )

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.example_columns import examples_frame

        counts: dict[Split, int] = {
            "train": self.examples,
            "validation": self.validation_examples,
            "test": self.test_examples,
        }
        drawn = self.game.draw(counts, self.faults, seed)
        frame = examples_frame([example for example, _ in drawn], [cluster for _, cluster in drawn])
        source = {"name": "games", "seed": seed, "faults": self.faults, "game": self.game.model_dump(mode="json")}
        # The games are the task itself, and no stand-in for others.
        return Built(frame, source, simulated=False, summary=f"games of {self.game.name}")

    def episode(self, example: Example) -> Episode:
        return self.game.episode(example)

    def match(self, example: Example) -> Match | None:
        return self.game.match(example)

    def grade(self, example: Example, reply: str) -> Graded:
        return self.game.grade(example, reply)

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        return self.game.grade_turns(example, turns)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return (
            RewardPart("result", 1.0, self.game.result, elicits="the move that is likeliest to win"),
            RewardPart("legal", self.legal_weight, "1 for turns in the form asked for, by the rules, else 0"),
        )

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str:
        return self.game.honest_reply(believed, self.reward)

    def imitable(self, question: Question, reply: str) -> Finding:
        if self.game.allows(question, reply):
            return Finding("accepted")
        return Finding("rejected", ("not a turn by the rules, in the form asked for",))

    def script(self, question: Question, seed: int) -> str:
        return self.game.script(question, self.faults, seed)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.example_columns import read_rows

        asked = list(read_rows(test))
        return {name: self._played(asked, player) for name, player in self.game.players().items()}

    def exemplars(self, example: Example) -> Exemplars | None:
        return self.game.exemplars(example)

    def notes(self) -> tuple[str, ...]:
        return (self.game.note,)

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        terms = SourceTerms("games", "Drawn by the kit itself, by the rules of the game; no text of others is in them.")
        return DataWords("An example is a turn of a game, with the turns that win it.", (terms,))

    def card(self) -> CardWords:
        return CardWords(
            what=f"plays {self.game.name}.",
            task="Playing a game",
            dataset_type="games",
            tags=("games",),
            limits=("It has been judged against scripted players, in the game and sizes listed above.",),
        )

    def small(self) -> Self:
        game = self.game.model_copy(update={"style": "compact"})
        return self.model_copy(update={"game": game, "examples": 600, "validation_examples": 60, "test_examples": 120})

    def _played(self, asked: Sequence[Example], player: Player) -> list[Graded]:
        """The grades of a scripted player in every example's game."""

        def answer(conversations: list[Conversation]) -> list[str]:
            return [player(said, random.Random(str(said))) for said in conversations]

        held = hold([Dialogue(example.messages, self.episode(example)) for example in asked], answer)
        return [self.grade_turns(example, turns) for example, turns in zip(asked, held, strict=True)]
