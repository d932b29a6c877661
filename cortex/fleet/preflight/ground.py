"""What the checks are given: the run that is to be, where it would go, and how the world is reached from here."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from cortex.fleet.abilities import OWN_MACHINES
from cortex.fleet.tasks import DIGESTS
from cortex.runs.prices import Offer
from cortex.runs.profile import Profile
from cortex.settings import Settings

_OTHER_NAMES = {"k8s": "kubernetes"}
"""Clouds that SkyPilot knows by another name, too."""

Document = Mapping[str, Any]
"""A task as `sky.yaml` writes it."""


@dataclass(frozen=True)
class Place:
    """Where a task may run, as far as its document says so."""

    cloud: str | None
    """By SkyPilot's lower-case name."""
    region: str | None = None


@dataclass(frozen=True)
class Ground:
    """A run before its launch."""

    profile: Profile
    run: str | None
    settings: Settings
    documents: Sequence[Document]
    """The pipeline's tasks, as they would be submitted."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    digests: Path = DIGESTS
    rentable: Callable[[Document], tuple[Offer, ...]] = field(default_factory=lambda: rentable)
    """What a task may be given."""
    clock: Callable[[], float] = time.time

    def places(self) -> set[Place]:
        """Every place that a task names; without a cloud's name, any that is enabled will do."""
        return {place for document in self.documents for place in places(document)}

    def clouds(self) -> set[str]:
        """The clouds that the tasks name; empty where every task leaves it to SkyPilot."""
        return {place.cloud for place in self.places() if place.cloud}

    @cached_property
    def offers(self) -> list[tuple[str, tuple[Offer, ...]]]:
        """By each task's name, every machine that it may be given.

        Raises:
            ConfigError: a task asks for what the catalog does not have.
        """
        return [(str(document.get("name")), self.rentable(document)) for document in self.documents]


def rentable(document: Document) -> tuple[Offer, ...]:
    """By SkyPilot's catalog; raises ConfigError."""
    from cortex.fleet.catalog import offers

    return offers(document)


def places(document: Document) -> Iterator[Place]:
    """Where one task may run: its `infra`, or `cloud` and `region`, of each entry of `any_of` or `ordered`."""
    for entry in resources(document):
        infra = str(entry.get("infra") or "").strip("/")
        cloud, _, region = infra.partition("/") if infra else (entry.get("cloud"), "", entry.get("region"))
        named = _OTHER_NAMES.get(str(cloud).lower(), str(cloud).lower()) if cloud and cloud != "*" else None
        # A context of Kubernetes may have slashes in its name, and a pool's name is as somebody wrote it.
        place = str(region or "*") if named in OWN_MACHINES else str(region or "*").partition("/")[0].lower()
        yield Place(named, None if place == "*" else place)


def resources(document: Document) -> list[dict[str, Any]]:
    """The machines that a task accepts: the common keys, under each entry of `any_of` or `ordered`."""
    given: Any = document.get("resources") or {}
    common = {key: value for key, value in given.items() if key not in ("any_of", "ordered")}
    choices = cast(list[dict[str, Any]], given.get("any_of") or given.get("ordered") or [{}])
    return [common | choice for choice in choices]
