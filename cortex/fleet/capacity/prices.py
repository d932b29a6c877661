"""Dollars an hour of the machines of each stage, as the pipeline asks for them, from SkyPilot's catalog."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.catalog import offers
from cortex.fleet.tasks import stages as stages_of
from cortex.runs.pipeline import SKY_YAML
from cortex.runs.prices import Offer
from cortex.runs.profile import Profile
from cortex.runs.stages import models

SECONDS = 12.0
"""After which a plan goes without prices."""


@dataclass(frozen=True)
class StagePrices:
    """What is known of the prices."""

    dollars: Mapping[str, float] = field(default_factory=dict[str, float])
    """An hour, by stage; of a stage on several machines, all of them."""
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    """By stage that has no price, why not."""


def stage_prices(profile: Profile, documents: Sequence[Mapping[str, Any]]) -> StagePrices:
    """For the stages that a plan has phases of: of the machines with the profile's own GPUs the cheapest, on spot
    where its task asks for that."""
    dollars, faults = dict[str, float](), dict[str, str]()
    for document in documents:
        planned = set(stages_of(document, SKY_YAML)) & set(planned_stages(profile))
        if planned:
            try:
                hour = _cheapest(profile, offers(document)) * int(document.get("num_nodes") or 1)
                dollars |= dict.fromkeys(planned, hour)
            except ConfigError as error:
                why = str(error).partition(f"task {document.get('name')!r}: ")[2] or str(error)
                faults |= dict.fromkeys(planned, why)
    return StagePrices(dollars, faults)


def planned_stages(profile: Profile) -> tuple[str, ...]:
    """The stages that a plan has phases of, in order."""
    return (*models(profile), "export", "evaluate")


class PriceReader:
    """Reads the prices beside other work: the catalog takes seconds, and longer where it has to be fetched first."""

    def __init__(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        self._found = StagePrices(faults=dict.fromkeys(planned_stages(profile), "the catalog was not read in time"))
        self._until = time.monotonic() + SECONDS
        self._thread = threading.Thread(target=self._read, args=(profile, documents), daemon=True)
        self._thread.start()

    def prices(self) -> StagePrices:
        """What was found within the time for it."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return self._found

    def _read(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        self._found = stage_prices(profile, documents)


def _cheapest(profile: Profile, found: Sequence[Offer]) -> float:
    own = [offer for offer in found if (offer.accelerators or "").partition(":")[0] == profile.hardware.accelerator]
    return min(offer.dollars_per_hour for offer in own or found)
