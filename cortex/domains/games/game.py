"""The contract of a game of the domain `games`: what the domain asks of each."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from cortex.domains.domain import Exemplars
from cortex.domains.episode import Episode
from cortex.domains.match import Match
from cortex.domains.question import Conversation, Example, Question, Split
from cortex.domains.turn_form import Style
from cortex.evaluation.graded import Graded
from cortex.section import Section

Player = Callable[[Conversation, random.Random], str]
"""Takes the conversation so far, and returns the next turn."""

Drawn = tuple[Example, str]
"""An example with its cluster."""


class Game(Section, ABC):
    """One game, with its rules and its scripted players."""

    name: Any
    """Each game declares it as a `Literal`."""
    style: Style = "full"
    """Form of what is said: explained (`full`), or in few tokens for a small model (`compact`)."""

    result: ClassVar[str]
    """The formula of the part `result` of the reward."""
    note: ClassVar[str]
    """The meaning of the loss, and of the baselines, for the page."""

    @abstractmethod
    def draw(self, counts: Mapping[Split, int], faults: float, seed: int) -> list[Drawn]:
        """Draw the examples of each split. Of the turns in scripted games, a share `faults` follows a bad habit.

        Raises:
            DataError: there are too few different games for the splits.
        """

    @abstractmethod
    def episode(self, example: Example) -> Episode:
        """The game against the scripted player that the example names."""

    @abstractmethod
    def match(self, example: Example) -> Match | None:
        """The game of several players; None where the episode is all there is."""

    @abstractmethod
    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        """Judge all turns of a game."""

    @abstractmethod
    def grade(self, example: Example, reply: str) -> Graded:
        """Judge a single turn, for what it is worth if the rest is played without a mistake."""

    @abstractmethod
    def allows(self, question: Question, reply: str) -> bool:
        """True for a turn in the form asked for, by the rules of the game."""

    @abstractmethod
    def script(self, question: Question, faults: float, seed: int) -> str:
        """The turn of a scripted teacher, of whose turns a share `faults` follows a bad habit."""

    @abstractmethod
    def players(self) -> Mapping[str, Player]:
        """The players of the baselines `random` and `greedy`."""

    @abstractmethod
    def honest_reply(self, believed: Sequence[tuple[Example, float]], reward: Callable[[Graded], float]) -> str:
        """The turn of the highest expected reward, by examples of which any may be the one that is asked."""

    @abstractmethod
    def exemplars(self, example: Example) -> Exemplars | None:
        """As `Domain.exemplars`."""
