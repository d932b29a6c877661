"""The contract between the kit and a domain: everything that the kit asks of what is learned."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import polars as pl
from pydantic import JsonValue

from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure
from cortex.section import Section
from cortex.settings import Settings

Split = Literal["train", "validation", "test"]


class Message(NamedTuple):
    """One turn of a conversation, in the words of chat templates."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


@dataclass(frozen=True)
class Question:
    """All that a model, a teacher and the check of a label may see."""

    id: str
    messages: tuple[Message, ...]

    @property
    def text(self) -> str:
        """The last turn, which an answer follows."""
        return self.messages[-1].content


@dataclass(frozen=True)
class Example(Question):
    """A question with its truth, which judging alone may see."""

    truth: JsonValue
    split: Split = "train"


@dataclass(frozen=True)
class Finding:
    """Whether a label is fit to be imitated, and the reasons for a grade below `accepted`."""

    grade: Literal["accepted", "flagged", "rejected"]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Built:
    """A dataset, and the account of it that goes into `dataset.json`."""

    examples: pl.DataFrame
    """`EXAMPLE_SCHEMA`, and any further columns of the domain's own."""
    source: Mapping[str, JsonValue]
    """Its name, parameters and hashes, for provenance; no path of this machine."""
    simulated: bool
    span: int = 1
    """How many clusters in a row share what decides their answers: 1 where each is by itself."""
    account: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else people should know of it, such as which columns of a file serve as what."""


EXAMPLE_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "split": pl.String(),
    "cluster": pl.String(),
    "at": pl.Datetime("us", "UTC"),
    "messages": pl.List(pl.Struct({"role": pl.String(), "content": pl.String()})),
    "truth": pl.String(),
}
"""The columns of every domain's examples.

`cluster` names what is right or wrong together: a decision date, a source problem, a seed. `at` is when the question is
asked, null where order means nothing. `truth` is JSON.
"""


class Domain(Section, ABC):
    """What is learned. Its fields are the `domain` section of a profile; `kind` names its folder."""

    kind: str

    measures: ClassVar[tuple[Measure, ...]] = ()
    """What a page and `cortex show` tell of a model besides its loss, skill and share of valid replies."""
    reference: ClassVar[str]
    """The baseline that skill is measured against, and that an invalid reply counts as."""
    rivals: ClassVar[tuple[str, ...]] = ()
    """Further baselines that the verdict compares a model with."""

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
    def baselines(self, train: pl.DataFrame, test: pl.DataFrame) -> dict[str, list[Graded]]:
        """Judge what a model has to beat, fitted on `train`, on each row of `test`; `reference` is one of them."""

    @abstractmethod
    def weights(self) -> dict[str, float]:
        """How much each part of a grade counts in a reward; penalties count below 0."""

    def check(self, settings: Settings) -> None:
        """Find what is missing before anything is rented: keys, files, packages.

        Raises:
            ConfigError, DataError: something is; the message names it and the fix.
        """

    def files(self) -> tuple[Path, ...]:
        """Files and folders of this machine that `build` reads."""
        return ()

    def with_labels(self, conversations: Iterable[Sequence[Message]]) -> Self:
        """The same, with what its grades need to know of the accepted labels, such as the words that are used there."""
        return self

    def tools(self) -> type | None:
        """The class of an environment whose typed public methods are a model's tools, as TRL takes it."""
        return None

    def facts(self, train: pl.DataFrame, test: pl.DataFrame) -> dict[str, str]:
        """Further facts of the data for the page and the card, such as symbols and a base rate."""
        return {}

    def reward(self, graded: Graded) -> float:
        """What a reply is paid: its parts by their weights, penalties subtracted last."""
        weights = self.weights()
        gained = sum(weight * graded.parts[part] for part, weight in weights.items() if weight >= 0)
        lost = sum(-weight * graded.parts[part] for part, weight in weights.items() if weight < 0)
        return gained - lost
