"""The price list of the machines that a run may get: written when it is launched, read on its machines."""

from typing import Self

from pydantic import Field, ValidationError

from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import DataError
from cortex.section import Items, Section


class Offer(Section):
    """The price of one kind of machine in one place."""

    cloud: str
    """SkyPilot's name: `aws`, `gcp`, `azure`."""
    region: str
    """The cloud's name of the region."""
    zone: str | None = None
    """The cloud's name of the zone; None if the price holds for the region."""
    instance_type: str
    """The cloud's name of the type."""
    accelerators: str | None = None
    """Its GPUs by SkyPilot's name, with their number: `H100:8`."""
    spot: bool
    """True if the cloud may take it back."""
    dollars_per_hour: float = Field(ge=0)
    """The price of the whole machine, without its disk."""


class PriceList(Section):
    """The offers at one time."""

    taken: float
    """The time of the prices, in seconds since 1970."""
    offers: Items[Offer]

    def find(self, cloud: str, region: str, zone: str | None, instance_type: str, spot: bool) -> Offer | None:
        """The offer of a machine in its zone, or else in its region; None if the list does not have it.

        Google's types are sold with several kinds of GPU, which the type does not tell: the dearest is taken.
        """
        fitting = [
            offer
            for offer in self.offers
            if (offer.cloud, offer.region, offer.instance_type, offer.spot) == (cloud, region, instance_type, spot)
            and offer.zone in (zone, None)
        ]
        # The zone's own price before the region's.
        return max(fitting, key=lambda offer: (offer.zone is not None, offer.dollars_per_hour), default=None)

    def dollars_per_hour(
        self, cloud: str, region: str, zone: str | None, instance_type: str, spot: bool
    ) -> float | None:
        """The price of a machine; None if the list does not have it."""
        found = self.find(cloud, region, zone, instance_type, spot)
        return found.dollars_per_hour if found else None

    @property
    def highest(self) -> float | None:
        """The price of the dearest machine; None for an empty list."""
        return max((offer.dollars_per_hour for offer in self.offers), default=None)

    def write(self, store: Store, run: str) -> None:
        """Write the list to the run's folder; a later launch replaces it."""
        store.put(_key(run), self.model_dump_json().encode())

    @classmethod
    def read(cls, store: Store, run: str) -> Self | None:
        """The list of a run's last launch; None for a run that was not launched.

        Raises:
            DataError: it is not a price list.
        """
        try:
            return cls.model_validate_json(store.get(_key(run)))
        except MissingObjectError:
            return None
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise DataError(f"{store.url}/{_key(run)}: {where}: {fault['msg']}; launch the run again") from error


def _key(run: str) -> str:
    return f"runs/{run}/prices.json"
