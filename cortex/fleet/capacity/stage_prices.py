"""Hourly prices of each stage's machines, as the pipeline asks for them, from SkyPilot's catalog."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.clouds.catalog import offers
from cortex.fleet.tasks.run_tasks import stages as stages_of
from cortex.profiles.profile import Profile
from cortex.runs.pipeline import SKY_YAML
from cortex.runs.price_list import Offer
from cortex.runs.stage_list import trainings

SECONDS = 12.0
"""Seconds after which a plan is shown without prices."""


@dataclass(frozen=True)
class StagePrices:
    """Hourly prices of the stages' machines, as far as they are known."""

    dollars: Mapping[str, float] = field(default_factory=dict[str, float])
    """Dollars an hour by stage, of all its machines together."""
    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    """Reasons for missing prices, by stage."""


def stage_prices(profile: Profile, documents: Sequence[Mapping[str, Any]]) -> StagePrices:
    """Prices of all planned stages: of the cheapest machine with the profile's own GPU, on spot where the stage's task
    asks for spot."""
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
    """The stages whose phases are planned, in order."""
    return (*trainings(profile), "export", "evaluate")


class PriceReader:
    """Reads the prices in the background: the catalog takes seconds, and longer where it has to be fetched first."""

    def __init__(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        self._found = StagePrices(faults=dict.fromkeys(planned_stages(profile), "the catalog was not read in time"))
        self._until = time.monotonic() + SECONDS
        self._thread = threading.Thread(target=self._read, args=(profile, documents), daemon=True)
        self._thread.start()

    def prices(self) -> StagePrices:
        """The prices found in time."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return self._found

    def _read(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        self._found = stage_prices(profile, documents)


def _cheapest(profile: Profile, found: Sequence[Offer]) -> float:
    own = [offer for offer in found if (offer.accelerators or "").partition(":")[0] == profile.hardware.accelerator]
    return min(offer.dollars_per_hour for offer in own or found)
