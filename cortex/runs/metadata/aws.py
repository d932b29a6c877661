"""AWS, by version 2 of its instance metadata service, in which every request carries a token that expires.

Sources: Amazon EC2 User Guide, "Spot Instance interruption notices", "EC2 instance rebalance recommendations" and
"Instance identity documents".
"""

import re
import time
from abc import ABC
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from cortex.clock import steady_time
from cortex.runs.metadata.metadata_client import Answer, SilentError, in_some_zone
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

PROMISE, MARGIN = 120.0, 10.0
"""Seconds from a notice to the end of the machine, and the part that is reserved for the notice's own delay."""


class Aws(Cloud, ABC):
    """Reads items of AWS's metadata."""

    cloud = "AWS"
    interval = 5.0
    token_seconds = 6 * 3600

    _token = ""
    _renewal = 0.0

    def probe(self) -> bool:
        try:
            answer = self._renew(PROBE)
        except SilentError as error:
            hint = "in a container on EC2, raise the instance's metadata hop limit to 2"
            raise SilentError(f"{error} ({hint})") from error
        if answer.may_pass:
            raise self.error(f"answered {answer.status} for a token")
        return bool(self._token)

    def item(self, path: str, below: str = "meta-data") -> Answer | None:
        """An item; None if there is no such item now."""
        if time.monotonic() >= self._renewal:
            self._renew(TIMEOUT)
        answer = self._get(f"{below}/{path}")
        if answer.status == 401:
            self._renew(TIMEOUT)
            answer = self._get(f"{below}/{path}")
        if answer.status not in {200, 404}:
            raise self.error(f"answered {answer.status} for {path}")
        return answer if answer.status == 200 else None

    def _get(self, path: str) -> Answer:
        return self.request(f"/latest/{path}", {"X-aws-ec2-metadata-token": self._token}, timeout=TIMEOUT)

    def _renew(self, timeout: float) -> Answer:
        asked = time.monotonic()
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(self.token_seconds)}
        answer = self.request("/latest/api/token", headers, method="PUT", timeout=timeout)
        # Anything else, such as a page of HTML, is no token, and must not get into a header.
        if answer.status == 200 and re.fullmatch(r"[\w+/=.-]{1,1024}", answer.text, re.ASCII):
            self._token, self._renewal = answer.text, asked + 0.9 * self.token_seconds
        return answer


Time = Annotated[datetime, AfterValidator(in_some_zone)]


class InstanceAction(BaseModel):
    """AWS's action on the instance, and its time."""

    action: Literal["terminate", "stop", "hibernate"]
    time: Time | None = None


class SpotAction(Aws, Source):
    """The notice of a spot interruption, two minutes ahead."""

    def ask(self) -> Iterator[Reclaim]:
        path = "spot/instance-action"
        if answer := self.item(path):
            notice = self.parse(InstanceAction, answer.text, path)
            when = f"at {notice.time}" if notice.time else "in about two minutes"
            seconds = seconds_left(PROMISE, MARGIN, notice.time, answer.time)
            yield Reclaim("aws spot instance-action", f"AWS will {notice.action} this instance {when}", seconds)


class Recommendation(BaseModel):
    """The time at which AWS recommended to move."""

    notice_time: Time = Field(alias="noticeTime")


class Rebalance(Aws, Source):
    """A raised risk of an interruption. It may never come, and a run saves checkpoints anyway, so it does not stop."""

    def ask(self) -> Iterator[Advice]:
        path = "events/recommendations/rebalance"
        if answer := self.item(path):
            since = self.parse(Recommendation, answer.text, path).notice_time
            text = f"AWS sees a raised risk, since {since}, that it will take this instance away"
            yield Advice("aws rebalance recommendation", text)


class Document(BaseModel):
    """The fields of the instance identity document that are read here."""

    id: str = Field(alias="instanceId", min_length=1)
    instance_type: str = Field(alias="instanceType")
    region: str
    zone: str | None = Field(default=None, alias="availabilityZone")
    launched: Time | None = Field(default=None, alias="pendingTime")


class AwsIdentity(Aws, Identity):
    """The identity of this instance. It costs from its pending time on."""

    def rented(self) -> Rented:
        path = "instance-identity/document"
        answer = self.item(path, below="dynamic")
        if answer is None:
            raise self.error(f"has no {path}")
        found = self.parse(Document, answer.text, path)
        life = self.item("instance-life-cycle")
        return Rented(
            id=found.id,
            cloud="aws",
            region=found.region,
            zone=found.zone,
            instance_type=found.instance_type,
            spot=life is not None and life.text.strip() == "spot",
            launched=found.launched.timestamp() if found.launched else None,
            ahead=steady_time() - answer.time.timestamp() - 0.5,  # the header drops fractions: half a second on average
        )
