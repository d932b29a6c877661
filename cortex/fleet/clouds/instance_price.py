"""Price of one type of machine, by SkyPilot's catalog."""

from cortex.errors import UsageError
from cortex.fleet.clouds.catalog import offers
from cortex.runs.price_list import Offer


def find_instance(place: str, *, spot: bool) -> Offer:
    """The cheapest offer of a machine named as `aws/g6.xlarge` or `aws/us-east-1/g6.xlarge`.

    Raises:
        UsageError: the text names no cloud and no type.
        ConfigError: the catalog does not have it, or cannot be read.
    """
    infra, slash, instance_type = place.strip().rpartition("/")
    if not slash or not infra or not instance_type:
        raise UsageError(f"{place[:100]!r} names no machine: write cloud/type or cloud/region/type, as aws/g6.xlarge")
    task = {"name": place, "resources": {"infra": infra, "instance_type": instance_type, "use_spot": spot}}
    return offers(task)[0]
