"""The interface to a cloud's metadata: sources of notices, and of the machine's identity."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ValidationError

from cortex.runs.metadata.metadata_client import Service

PROBE, TIMEOUT = 0.9, 5.0
"""Timeouts of the first request and of later ones: a service on the machine's own link answers in milliseconds."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Reclaim:
    """A notice that the machine is being taken away: everything must be saved within `seconds`."""

    source: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Advice:
    """A notice for the log, which is no reason to stop."""

    source: str
    text: str


@dataclass(frozen=True)
class Rented:
    """A machine as its cloud describes it."""

    id: str
    cloud: str
    """SkyPilot's name: `aws`, `gcp`, `azure`."""
    region: str
    zone: str | None
    instance_type: str
    spot: bool
    launched: float | None
    """The launch, in seconds since 1970 by the cloud's clock; None if the cloud does not give it."""
    ahead: float | None = None
    """Seconds that this machine's clock is ahead of the cloud's; None if that is not known."""


class Cloud(Service, ABC):
    """A cloud's metadata service. Each request has a connection of its own, so that none waits for another."""

    cloud: ClassVar[str]

    def __init__(self, endpoint: str) -> None:
        super().__init__(self.cloud, endpoint)

    @abstractmethod
    def probe(self) -> bool:
        """Tell if this machine is on this cloud. Raises AbsentError if nothing answers, MetadataError if unclear."""

    def parse(self, model: type[Model], text: str, item: str) -> Model:
        """Read an answer in JSON. Raises MetadataError."""
        try:
            return model.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise self.error(f"sent something else than JSON of its own kind for {item}") from error


class Source(Cloud, ABC):
    """A source of notices, which may come at any time."""

    interval: float
    """Seconds between an answer and the next request."""

    @abstractmethod
    def ask(self) -> Iterator[Reclaim | Advice]:
        """The notices that hold now; each is repeated as long as it holds. Raises MetadataError."""


class Identity(Cloud, ABC):
    """The cloud's description of this machine."""

    @abstractmethod
    def rented(self) -> Rented:
        """This machine; to be called after `probe`. Raises MetadataError."""


def seconds_left(promise: float, margin: float, at: datetime | None, now: datetime) -> float:
    """Seconds until everything must be saved: to the cloud's time `at`, but `promise` at most, less the margin.

    `now` is by the cloud's clock, if it is known, since this machine's own may be wrong.
    """
    left = promise if at is None else min(promise, (at - now).total_seconds())
    return max(0.0, left - margin)
