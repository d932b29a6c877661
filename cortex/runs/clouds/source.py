"""What a cloud can be asked about a machine, and what it may say."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from cortex.runs.clouds.metadata import Service

PROBE, TIMEOUT = 0.9, 5.0
"""Seconds for the first question, and for later ones: a service on the machine's own link answers in milliseconds."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Reclaim:
    """The machine is being taken away: all must be saved within `seconds`."""

    source: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Advice:
    """Something worth knowing, which is no reason to stop."""

    source: str
    text: str


@dataclass(frozen=True)
class Rented:
    """A machine as its cloud describes it."""

    id: str
    cloud: str
    """By SkyPilot's name: `aws`, `gcp`, `azure`."""
    region: str
    zone: str | None
    instance_type: str
    spot: bool
    launched: float | None
    """Seconds since 1970 by the cloud's clock; None where the cloud does not say."""
    ahead: float | None = None
    """Seconds that this machine's clock is ahead of the cloud's; None where that is not known."""


class Cloud(Service, ABC):
    """A cloud, as one of its machines can ask it. Each question has a connection of its own: none waits for another."""

    cloud: ClassVar[str]

    def __init__(self, endpoint: str) -> None:
        super().__init__(self.cloud, endpoint)

    @abstractmethod
    def probe(self) -> bool:
        """Whether this machine is on this cloud. Raises AbsentError where nothing answers, MetadataError if unclear."""

    def parse(self, model: type[Model], text: str, item: str) -> Model:
        """Read an answer in JSON. Raises MetadataError."""
        try:
            return model.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise self.error(f"sent something else than JSON of its own kind for {item}") from error


class Source(Cloud, ABC):
    """Something that the cloud may say at any time."""

    interval: float
    """Seconds between an answer and the next question."""

    @abstractmethod
    def ask(self) -> Iterator[Reclaim | Advice]:
        """What the cloud says now; the same again for as long as it stands. Raises MetadataError."""


class Identity(Cloud, ABC):
    """What the cloud says of the machine itself, once."""

    @abstractmethod
    def rented(self) -> Rented:
        """The machine that asks; after `probe`. Raises MetadataError."""


def seconds_left(promise: float, margin: float, at: datetime | None, now: datetime) -> float:
    """Until all must be saved: by the time that the cloud names, at most as long as it promises, less the margin.

    `now` is by the clock of whoever named the time, where that is known: this machine's own may be wrong.
    """
    left = promise if at is None else min(promise, (at - now).total_seconds())
    return max(0.0, left - margin)
