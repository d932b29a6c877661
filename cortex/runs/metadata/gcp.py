"""Google Cloud: after the first read, the service holds each request until the value changes.

Sources: Compute Engine documentation, "Preemptible VM instances", "Predefined metadata keys" and "Query metadata server
for maintenance event notices" (which also says that a machine that never asks gets no notice).
"""

from abc import ABC
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from cortex.runs.metadata.metadata_client import Answer
from cortex.runs.metadata.metadata_source import PROBE, TIMEOUT, Cloud, Identity, Reclaim, Rented, Source

SECONDS = 30.0 - 5.0
"""Seconds from a preemption's notice to the end of the machine, less a margin."""


class Gcp(Cloud, ABC):
    """Reads values of Google Cloud's metadata."""

    cloud = "Google Cloud"

    def probe(self) -> bool:
        answer = self._get("/", PROBE)
        if answer.may_pass:
            raise self.error(f"answered {answer.status}")
        return _is_googles(answer)

    def read(self, key: str, query: str = "", timeout: float = TIMEOUT) -> Answer:
        """A metadata value of the instance."""
        answer = self._get(f"/computeMetadata/v1/instance/{key}{query}", timeout)
        if answer.status != 200:
            raise self.error(f"answered {answer.status} for {key}")
        if not _is_googles(answer):
            raise self.error(f"answered for {key} without the header that is its own")
        return answer

    def _get(self, path: str, timeout: float) -> Answer:
        return self.request(path, {"Metadata-Flavor": "Google"}, timeout=timeout)


class ChangingValue(Gcp, Source, ABC):
    """A value whose changes are waited for."""

    interval = 1.0
    held_seconds = 10
    """Seconds for which the service may hold a request."""
    key: ClassVar[str]

    _etag = ""

    def value(self) -> str:
        """The value: at once at the first call, later when it has changed or `held_seconds` are over."""
        change = f"?wait_for_change=true&timeout_sec={self.held_seconds}&last_etag={quote(self._etag)}"
        answer = self.read(self.key, change if self._etag else "", self.held_seconds + TIMEOUT)
        self._etag = answer.headers.get("etag", "")
        return answer.text.strip()


class Preempted(ChangingValue):
    """The notice of a preemption, thirty seconds ahead."""

    key = "preempted"

    def ask(self) -> Iterator[Reclaim]:
        value = self.value()
        if value not in {"TRUE", "FALSE"}:
            raise self.error(f"sent neither TRUE nor FALSE for {self.key}")
        if value == "TRUE":
            yield Reclaim("gcp preempted", "Google Cloud is preempting this instance", SECONDS)


class HostMaintenance(ChangingValue):
    """The notice of maintenance that ends the machine, a minute or, with GPUs, an hour ahead; it does not say which."""

    key = "maintenance-event"

    def ask(self) -> Iterator[Reclaim]:
        value = self.value()
        if value not in {"NONE", "MIGRATE_ON_HOST_MAINTENANCE", "TERMINATE_ON_HOST_MAINTENANCE"}:
            raise self.error(f"sent an unknown value for {self.key}")
        if value == "TERMINATE_ON_HOST_MAINTENANCE":
            text = "Google Cloud will terminate this instance for maintenance of its host"
            yield Reclaim("gcp maintenance-event", text, SECONDS)


class GcpIdentity(Gcp, Identity):
    """The identity of this instance. The service does not give its launch time."""

    def rented(self) -> Rented:
        # Such values begin with their project: projects/123/zones/us-central1-a.
        zone = self._last("zone")
        return Rented(
            id=self._last("id"),
            cloud="gcp",
            region=zone.rpartition("-")[0],
            zone=zone,
            instance_type=self._last("machine-type"),
            spot=self._last("scheduling/preemptible") == "TRUE",
            launched=None,
        )

    def _last(self, key: str) -> str:
        word = self.read(key).text.strip().rpartition("/")[2]
        if not word:
            raise self.error(f"sent nothing for {key}")
        return word


def _is_googles(answer: Answer) -> bool:
    return answer.headers.get("metadata-flavor") == "Google"
