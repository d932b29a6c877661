"""A domain's side of a service: reads the requests and replies of models that were trained on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import Field, JsonValue

from cortex.domains.episode import Episode
from cortex.domains.label_finding import Finding
from cortex.domains.outcome_reading import Outcomes
from cortex.domains.question import Example, Message, Question
from cortex.domains.view import FormField, Judged, View, fact
from cortex.section import Section


class PlainRequest(Section):
    """A question in the domain's own words."""

    question: str = Field(min_length=1, max_length=200_000)
    """The text that the model answers."""


@dataclass(frozen=True)
class Reading:
    """A reply as a service hands it on."""

    answer: Mapping[str, JsonValue]
    """The answer's values by name."""
    reasoning: str | None = None
    """The steps before the answer, where the domain tells them apart."""
    uncertainty: float | None = None
    """As `Domain.uncertainty`, of this answer."""


class ServedDomain(Protocol):
    """The part of a `Domain` that serves its models."""

    def imitable(self, question: Question, reply: str) -> Finding: ...
    def uncertainty(self, numbers: Mapping[str, float], record: Mapping[str, JsonValue]) -> float | None: ...
    def outcomes(self) -> Outcomes: ...
    def episode(self, example: Example) -> Episode | None: ...


class Endpoint:
    """Reads a domain's requests and replies. A domain whose requests are more than a text derives from it."""

    request: ClassVar[type[Section]] = PlainRequest
    """The body of a request."""
    alias: ClassVar[str | None] = None
    """A second path of the endpoint, where no other domain of the release has it."""
    pattern: str | None = None
    """A regular expression of replies in the requested form, to which decoding keeps; None for free text."""

    def __init__(self, domain: ServedDomain) -> None:
        self.domain = domain
        self.record: Mapping[str, JsonValue] = {}
        """The judges' `details` of the model that answers, by which `read` calibrates; the service sets it."""

    def question(self, request: Section) -> Question:
        """The question of a request, as a dataset would hold it. It may read files, and so take seconds at first.

        Raises:
            DataError: the request asks for something that the domain does not have; the message says what it has.
        """
        assert isinstance(request, PlainRequest)
        return Question("request", (Message("user", request.question),))

    def episode(self, question: Question) -> Episode | None:
        """The world that answers the model's turns; None where its first reply is its answer."""
        return self.domain.episode(Example(question.id, question.messages, None))

    def read(self, reply: str) -> Reading:
        """The answer in a reply.

        Raises:
            DataError: the reply is not in the form that was asked for.
        """
        return Reading({"text": reply})

    def form(self) -> tuple[FormField, ...]:
        """The fields of a request, for people to fill in. It may read files, as `question` does."""
        return (FormField(name="question", label="Question", kind="text"),)

    def view(self, request: Section, reading: Reading | None, judged: Judged) -> View:
        """An answer for people: in words, and beside how the model fared out of sample.

        `reading` is None where the answer is held back. It may read files, as `question` does.
        """
        facts = () if reading is None else tuple(fact(name, value) for name, value in reading.answer.items())
        return View(facts=facts, remarks=judged.remarks(), shares=judged.shares())

    def finding(self, question: Question, reply: str) -> Finding:
        """The grade of a reply by everything but the truth: an answer that is `rejected` is held back."""
        return self.domain.imitable(question, reply)
