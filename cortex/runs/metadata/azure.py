"""Azure: the scheduled events of this machine and of others near it, and this machine's identity.

Sources: Azure documentation, "Scheduled Events for Linux VMs", version 2020-07-01, and "Azure Instance Metadata
Service", version 2021-02-01.
"""

import re
from abc import ABC
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from cortex.runs.metadata.metadata_client import Answer, parse_date
from cortex.runs.metadata.metadata_source import (
    PROBE,
    TIMEOUT,
    Advice,
    Cloud,
    Identity,
    Reclaim,
    Rented,
    Source,
    seconds_left,
)

PROMISES = {"Preempt": 30.0, "Terminate": 300.0, "Redeploy": 600.0, "Reboot": 900.0}
"""The events that end running programs, and the seconds of notice that Azure gives at least."""
MARGIN = 5.0


def _time(value: object) -> datetime | None:
    return None if value == "" else parse_date(str(value))


class Event(BaseModel):
    """A scheduled event and its machines. Without a time it has begun."""

    kind: str = Field(alias="EventType")
    machines: list[str] = Field(alias="Resources")
    not_before: Annotated[datetime | None, BeforeValidator(_time)] = Field(alias="NotBefore")


class Events(BaseModel):
    """All scheduled events."""

    events: list[Event] = Field(alias="Events")


class Azure(Cloud, ABC):
    """Azure's instance metadata service."""

    cloud = "Azure"

    _machine = ""

    def probe(self) -> bool:
        answer = self._get("/metadata/instance/compute/name?api-version=2021-02-01&format=text", PROBE)
        if answer.may_pass:
            raise self.error(f"answered {answer.status} for the machine's name")
        if answer.status == 200 and re.fullmatch(r"[\w.-]{1,128}", answer.text):
            self._machine = answer.text.casefold()
        return bool(self._machine)

    def _get(self, path: str, timeout: float) -> Answer:
        return self.request(path, {"Metadata": "true"}, timeout=timeout)


class ScheduledEvents(Azure, Source):
    """The notice of an eviction, thirty seconds ahead, and of a restart or a move, minutes ahead."""

    interval = 1.0
    first_timeout = 130.0
    """The first request switches the events on, which takes up to two minutes."""

    _answered = False

    def ask(self) -> Iterator[Reclaim | Advice]:
        timeout = TIMEOUT if self._answered else self.first_timeout
        answer = self._get("/metadata/scheduledevents?api-version=2020-07-01", timeout)
        if answer.status != 200:
            raise self.error(f"answered {answer.status} for scheduledevents")
        self._answered = True
        for event in self.parse(Events, answer.text, "scheduledevents").events:
            if self._machine not in map(str.casefold, event.machines):
                continue
            when = f"not before {event.not_before}" if event.not_before else "now"
            source, text = f"azure {event.kind}", f"Azure has scheduled for this machine: {event.kind}, {when}"
            if event.kind in PROMISES:
                at = event.not_before or answer.time
                yield Reclaim(source, text, seconds_left(PROMISES[event.kind], MARGIN, at, answer.time))
            elif event.kind == "Freeze":
                # A pause of some seconds, after which programs go on.
                yield Advice(source, text)


class Compute(BaseModel):
    """The fields of the machine's description that are read here."""

    id: str = Field(alias="vmId", min_length=1)
    instance_type: str = Field(alias="vmSize")
    region: str = Field(alias="location")
    zone: str = ""
    priority: str = ""
    """`Spot`, `Low`, `Regular`, or nothing."""


class AzureIdentity(Azure, Identity):
    """The identity of this machine. The service does not give its launch time."""

    def rented(self) -> Rented:
        answer = self._get("/metadata/instance/compute?api-version=2021-02-01", TIMEOUT)
        if answer.status != 200:
            raise self.error(f"answered {answer.status} for instance/compute")
        found = self.parse(Compute, answer.text, "instance/compute")
        return Rented(
            id=found.id,
            cloud="azure",
            region=found.region,
            zone=found.zone or None,
            instance_type=found.instance_type,
            spot=found.priority in {"Spot", "Low"},
            launched=None,
        )
