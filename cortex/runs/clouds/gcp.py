"""Google Cloud: a value is asked for once, then whenever it changes; the service holds the question until it does.

Sources: Compute Engine documentation, "Preemptible VM instances", "Predefined metadata keys" and "Query metadata server
for maintenance event notices" (where it also says that a machine that never asks gets no notice).
"""

from abc import ABC
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from cortex.runs.clouds.metadata import Answer
from cortex.runs.clouds.source import PROBE, TIMEOUT, Cloud, Identity, Reclaim, Rented, Source

SECONDS = 30.0 - 5.0
"""From a preemption's notice to the end of the machine, less a margin."""


class Gcp(Cloud, ABC):
    """Values of Google Cloud's metadata."""

    cloud = "Google Cloud"

    def probe(self) -> bool:
        answer = self._get("/", PROBE)
        if answer.may_pass:
            raise self.error(f"answered {answer.status}")
        return _is_googles(answer)

    def read(self, key: str, query: str = "", timeout: float = TIMEOUT) -> Answer:
        """A value of the instance."""
        answer = self._get(f"/computeMetadata/v1/instance/{key}{query}", timeout)
        if answer.status != 200:
            raise self.error(f"answered {answer.status} for {key}")
        if not _is_googles(answer):
            raise self.error(f"answered for {key} without the header that is its own")
        return answer

    def _get(self, path: str, timeout: float) -> Answer:
        return self.request(path, {"Metadata-Flavor": "Google"}, timeout=timeout)


class Held(Gcp, Source, ABC):
    """A value that may change."""

    interval = 1.0
    held_seconds = 10
    """For how long the service may hold a question."""
    key: ClassVar[str]

    _etag = ""

    def value(self) -> str:
        """The value now, or once it has changed."""
        change = f"?wait_for_change=true&timeout_sec={self.held_seconds}&last_etag={quote(self._etag)}"
        answer = self.read(self.key, change if self._etag else "", self.held_seconds + TIMEOUT)
        self._etag = answer.headers.get("etag", "")
        return answer.text.strip()


class Preempted(Held):
    """The notice of a preemption, thirty seconds ahead."""

    key = "preempted"

    def ask(self) -> Iterator[Reclaim]:
        value = self.value()
        if value not in {"TRUE", "FALSE"}:
            raise self.error(f"sent neither TRUE nor FALSE for {self.key}")
        if value == "TRUE":
            yield Reclaim("gcp preempted", "Google Cloud is preempting this instance", SECONDS)


class HostMaintenance(Held):
    """The notice of maintenance that ends the machine: ahead by a minute or, with GPUs, an hour; it does not say."""

    key = "maintenance-event"

    def ask(self) -> Iterator[Reclaim]:
        value = self.value()
        if value not in {"NONE", "MIGRATE_ON_HOST_MAINTENANCE", "TERMINATE_ON_HOST_MAINTENANCE"}:
            raise self.error(f"sent an unknown value for {self.key}")
        if value == "TERMINATE_ON_HOST_MAINTENANCE":
            text = "Google Cloud will terminate this instance for maintenance of its host"
            yield Reclaim("gcp maintenance-event", text, SECONDS)


class GcpIdentity(Gcp, Identity):
    """Which instance this is. The service does not say since when."""

    def rented(self) -> Rented:
        # Both come with the project before them: projects/123/zones/us-central1-a.
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
