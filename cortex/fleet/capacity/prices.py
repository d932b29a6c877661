"""Dollars an hour of the machine of each stage, as the pipeline asks for it, from SkyPilot's catalog."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.catalog import offers
from cortex.fleet.tasks import stages as stages_of
from cortex.runs.pipeline import SKY_YAML
from cortex.runs.prices import Offer
from cortex.runs.profile import Profile

SECONDS = 12.0
"""After which a plan goes without prices."""


def stage_prices(profile: Profile, documents: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By stage: of the machines with the profile's own GPUs the cheapest, on spot where its task asks for that; of a
    task on several machines, all of them.

    Raises:
        ConfigError: the catalog cannot be read, or has no machine for a task.
    """
    return {
        stage: _cheapest(profile, offers(document)) * int(document.get("num_nodes") or 1)
        for document in documents
        for stage in stages_of(document, SKY_YAML)
    }


class PriceReader:
    """Reads the prices beside other work: the catalog takes seconds, and longer where it has to be fetched first."""

    def __init__(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        self.fault: str | None = "the catalog was not read in time"
        """Why there are no prices; None where there are."""
        self._found: dict[str, float] = {}
        self._until = time.monotonic() + SECONDS
        self._thread = threading.Thread(target=self._read, args=(profile, documents), daemon=True)
        self._thread.start()

    def prices(self) -> dict[str, float]:
        """What was found within the time for it."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return {} if self.fault else self._found

    def _read(self, profile: Profile, documents: Sequence[Mapping[str, Any]]) -> None:
        try:
            self._found, self.fault = stage_prices(profile, documents), None
        except ConfigError as error:
            self.fault = str(error)


def _cheapest(profile: Profile, found: Sequence[Offer]) -> float:
    own = [offer for offer in found if (offer.accelerators or "").partition(":")[0] == profile.hardware.accelerator]
    return min(offer.dollars_per_hour for offer in own or found)
