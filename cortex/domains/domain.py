"""The contract between the kit and a domain: everything that the kit asks of what is learned."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import JsonValue

from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.section import Section
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.evaluation.grades import Grades
    from cortex.evaluation.page import Figure
    from cortex.evaluation.record import Evaluation

Split = Literal["train", "validation", "test"]


class Message(NamedTuple):
    """One turn of a conversation, in the words of chat templates."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


Conversation = tuple[Message, ...]


@dataclass(frozen=True)
class Question:
    """All that a model, a teacher and the check of a label may see."""

    id: str
    messages: Conversation

    @property
    def text(self) -> str:
        """The last turn, which an answer follows."""
        return self.messages[-1].content


@dataclass(frozen=True)
class Example(Question):
    """A question with its truth, which judging alone may see."""

    truth: JsonValue
    """None where no reply is true, as in a conversation: grades then rest on the reply, pairs on `Domain.preferred`."""
    split: Split = "train"


@dataclass(frozen=True)
class Finding:
    """Whether a label is fit to be imitated, and the reasons for a grade below `accepted`."""

    grade: Literal["accepted", "flagged", "rejected"]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """A dataset, and the account of it that goes into `dataset.json`."""

    examples: "pl.DataFrame"
    """The columns of `columns.SCHEMA`, and any further ones of the domain's own."""
    source: Mapping[str, object]
    """Its name, parameters and hashes, for provenance; no path of this machine."""
    simulated: bool
    summary: str = ""
    """In a few words, what it holds, for `cortex dataset show`."""
    further: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else `dataset.json` tells, such as which columns of a file serve as what."""


@dataclass(frozen=True)
class Exemplars:
    """Replies to one example of known worth, by which `cortex domain check` tries a domain's grades."""

    gold: str
    """Right in every way: no reply loses less."""
    honest: str | None = None
    """In the form that is asked for, and of one who knows little; None where there is none."""
    gaming: Mapping[str, str] = field(default_factory=dict[str, str])
    """Replies that seek a grade without an answer, by name: each has to lose more than the honest one."""


class Domain(Section, ABC):
    """What is learned. Its fields are the `domain` section of a profile; `kind` names its folder."""

    kind: Any
    """A `Literal` of the folder's name, in each domain."""

    scale: ClassVar[Scale]
    """The words for its losses, and the baselines that they are compared with."""
    truth_in_prompt: ClassVar[bool] = False
    """The truth is no secret: it is the task itself, such as a board or a set of tests, and may stand in a prompt."""
    measures: ClassVar[tuple[Measure, ...]] = ()
    """What a page and `cortex show` tell of a model besides its loss, skill and share of valid replies."""

    @abstractmethod
    def build(self, seed: int, settings: Settings) -> Built:
        """Make the examples. Equal seeds and sources give equal rows.

        Raises:
            DataError: the source cannot be used, or holds too little.
        """

    @abstractmethod
    def grade(self, example: Example, reply: str) -> Graded:
        """Judge a reply, by itself and fast: rewards, preference pairs, export and evaluation all ask here."""

    @abstractmethod
    def imitable(self, question: Question, reply: str) -> Finding:
        """Say whether a teacher's reply may be imitated. The truth is not to be had here."""

    @abstractmethod
    def script(self, question: Question, seed: int) -> str:
        """Answer as the stand-in for a teacher does in a rehearsal."""

    @abstractmethod
    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        """Judge what a model has to beat, fitted on `train`, on each row of `test`; `reference` is one of them."""

    @abstractmethod
    def weights(self) -> dict[str, float]:
        """How much each part of a grade counts in a reward; penalties count below 0."""

    def exemplars(self, example: Example) -> Exemplars | None:
        """Replies of known worth to an example; None where nobody can say."""
        return None

    def check(self, settings: Settings) -> None:
        """Find what is missing before anything is rented: keys, files, packages.

        Raises:
            ConfigError, DataError: something is; the message names it and the fix.
        """

    def small(self) -> Self:
        """A variant that builds in a second on any machine, with short questions, for drills of the trainers."""
        return self

    def key_variables(self) -> tuple[str, ...]:
        """Variables with the keys of the services that `build` asks over the network."""
        return ()

    def files(self) -> tuple[Path, ...]:
        """Files and folders of this machine that `build` reads."""
        return ()

    def with_labels(self, conversations: Iterable[Conversation]) -> Self:
        """The same, with what its grades need to know of the accepted labels, such as the words that are used there."""
        return self

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        """Judge all turns that follow a question, such as moves of a game; by default the last turn alone."""
        return self.grade(example, turns[-1].content)

    def preferred(self, example: Example) -> tuple[str, str] | None:
        """A better and a worse reply that the data themselves give; None where DPO samples replies and grades them."""
        return None

    def span(self, test: "pl.DataFrame") -> int:
        """How many clusters in a row share what decides their answers, at most: 1 where each is by itself."""
        return 1

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        """Further facts of the data for the page and the card, such as symbols and a base rate."""
        return {}

    def describe_split(self, rows: "pl.DataFrame") -> dict[str, JsonValue]:
        """What `dataset.json` tells of a split besides its size and times."""
        return {}

    def truth_words(self, example: Example) -> str:
        """The truth of an example, for people."""
        return f"the truth is {json.dumps(example.truth)}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        """What the domain's figures on the page are drawn from, of one forecaster."""
        return {}

    def figures(self, evaluation: "Evaluation") -> "Iterable[Figure]":
        """The domain's own figures on the page."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """How the domain's scores are read, in sentences for the page."""
        return ()

    def card(self) -> CardWords:
        """What a model's card says of the domain."""
        return CardWords(what="answers questions of its domain.", task=self.kind, dataset_type=self.kind)

    def reward(self, graded: Graded) -> float:
        """What a reply is paid: its parts by their weights, penalties subtracted last."""
        weights = self.weights()
        gained = sum(weight * graded.parts[part] for part, weight in weights.items() if weight >= 0)
        lost = sum(-weight * graded.parts[part] for part, weight in weights.items() if weight < 0)
        return gained - lost
