"""Input of the checks: the run that is to be launched, its tasks and places, and access to catalog and clock."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from cortex.fleet.clouds.abilities import OWN_MACHINES
from cortex.fleet.tasks.image_digests import DIGESTS
from cortex.profiles.profile import Profile
from cortex.runs.price_list import Offer
from cortex.settings import Settings

_OTHER_NAMES = {"k8s": "kubernetes"}
"""SkyPilot's aliases of clouds."""

Document = Mapping[str, Any]
"""A task in the form of `sky.yaml`."""


@dataclass(frozen=True)
class Place:
    """A cloud and region that a task names; None where the task leaves it open."""

    cloud: str | None
    """SkyPilot's name in lower case."""
    region: str | None = None


@dataclass(frozen=True)
class Ground:
    """Input of the checks: a run before its launch."""

    profile: Profile
    run: str | None
    settings: Settings
    documents: Sequence[Document]
    """The pipeline's tasks, as they would be submitted."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    digests: Path = DIGESTS
    rentable: Callable[[Document], tuple[Offer, ...]] = field(default_factory=lambda: rentable)
    """Function that returns the offers of a task."""
    clock: Callable[[], float] = time.time

    def places(self) -> set[Place]:
        """Every place that a task names; a place without a cloud may be on any that is enabled."""
        return {place for document in self.documents for place in places(document)}

    def clouds(self) -> set[str]:
        """The clouds that the tasks name; empty where every task leaves it to SkyPilot."""
        return {place.cloud for place in self.places() if place.cloud}

    @cached_property
    def offers(self) -> list[tuple[str, tuple[Offer, ...]]]:
        """Each task's name with every machine that it may get.

        Raises:
            ConfigError: a task asks for a machine that the catalog does not have.
        """
        return [(str(document.get("name")), self.rentable(document)) for document in self.documents]


def rentable(document: Document) -> tuple[Offer, ...]:
    """The offers of a task in SkyPilot's catalog; raises ConfigError."""
    from cortex.fleet.clouds.catalog import offers

    return offers(document)


def places(document: Document) -> Iterator[Place]:
    """Places of one task: `infra`, or `cloud` and `region`, of each entry of `any_of` or `ordered`."""
    for entry in resources(document):
        infra = str(entry.get("infra") or "").strip("/")
        cloud, _, region = infra.partition("/") if infra else (entry.get("cloud"), "", entry.get("region"))
        named = _OTHER_NAMES.get(str(cloud).lower(), str(cloud).lower()) if cloud and cloud != "*" else None
        # A Kubernetes context may have slashes in its name, and the name of a pool may have capitals.
        place = str(region or "*") if named in OWN_MACHINES else str(region or "*").partition("/")[0].lower()
        yield Place(named, None if place == "*" else place)


def resources(document: Document) -> list[dict[str, Any]]:
    """The task's alternatives: the common keys, overridden by each entry of `any_of` or `ordered`."""
    given: Any = document.get("resources") or {}
    common = {key: value for key, value in given.items() if key not in ("any_of", "ordered")}
    choices = cast(list[dict[str, Any]], given.get("any_of") or given.get("ordered") or [{}])
    return [common | choice for choice in choices]
