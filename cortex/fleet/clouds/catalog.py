"""Machines for rent and their prices: SkyPilot's catalog, read without its server and without credentials."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cortex.errors import ConfigError
from cortex.runs.price_list import Offer

if TYPE_CHECKING:
    from sky import Resources

CLOUDS = ("aws", "gcp", "azure")
"""Clouds for a task that names none: those whose metadata and spot notices the kit understands."""


def offers(task: Mapping[str, Any], *, spot: bool | None = None) -> tuple[Offer, ...]:
    """Every machine that SkyPilot may give to a task, in each region and zone that sells it; the cheapest first.

    `task` is one document of a pipeline. `spot` overrides the task's `use_spot`; its `max_hourly_cost` is then ignored,
    since it was meant for the other kind of price. Where several machine types fit one entry of `any_of` or `ordered`,
    SkyPilot takes the cheapest of each cloud, and so does this function. AWS's zones have the account's names where AWS
    can be asked, and AWS's zone ids otherwise.

    Raises:
        ConfigError: the task's `resources` cannot be read, nothing in the catalog fits them, or the catalog is not
            here and cannot be fetched.
    """
    name = task.get("name")
    with _readable(f"task {name!r}"):
        from sky.catalog import fallback_to_default_catalog

        found = fallback_to_default_catalog(_all_offers)(task, spot)
    if not found:
        raise ConfigError(
            f"task {name!r}: SkyPilot's catalog has no machine for {_asked(task)}: ask for less, or for another "
            "accelerator or region, in its `resources`"
        )
    ordered = sorted(found, key=lambda offer: (offer.dollars_per_hour, offer.region, offer.zone or "", repr(offer)))
    return tuple(offer for offer, _ in groupby(ordered))


def _all_offers(task: Mapping[str, Any], spot: bool | None) -> list[Offer]:
    return [offer for resources in _resources(task, spot) for offer in _offers(resources)]


def _resources(task: Mapping[str, Any], spot: bool | None) -> Iterator["Resources"]:
    """The task's alternatives, each on one cloud."""
    from sky import Resources
    from sky.utils.registry import CLOUD_REGISTRY

    # `from_yaml_config` changes its argument.
    for resources in Resources.from_yaml_config(deepcopy(task.get("resources"))):
        for cloud in [resources.cloud] if resources.cloud else map(CLOUD_REGISTRY.from_str, CLOUDS):
            placed = resources.copy(cloud=cloud)
            if spot is not None and spot != resources.use_spot:
                placed = placed.copy(use_spot=spot, max_hourly_cost=None)
            placed.validate()
            yield placed


def _offers(resources: "Resources") -> Iterator[Offer]:
    from sky.utils.resources_utils import make_launchables_for_valid_region_zones

    assert resources.cloud
    for machine in resources.cloud.get_feasible_launchable_resources(resources).resources_list[:1]:
        for place in make_launchables_for_valid_region_zones(machine):
            price = place.get_cost(3600)
            # The price is NaN where a place does not sell that kind, spot or on demand.
            if not math.isnan(price):
                yield Offer(
                    cloud=str(place.cloud).lower(),
                    region=str(place.region),
                    zone=place.zone,
                    instance_type=str(place.instance_type),
                    accelerators=_gpus(place.accelerators),
                    spot=place.use_spot,
                    dollars_per_hour=round(price, 4),
                )


def _gpus(accelerators: Mapping[str, float] | None) -> str | None:
    return next((f"{name}:{count:g}" for name, count in (accelerators or {}).items()), None)


def _asked(task: Mapping[str, Any]) -> str:
    """A task's resources in short, for an error message."""
    resources = task.get("resources") or {}
    alternatives = resources.get("any_of") or resources.get("ordered") or [{}]
    asked = [
        " ".join(
            f"${merged[key]:g}/h at most" if key == "max_hourly_cost" else str(merged[key])
            for key in ("accelerators", "cpus", "memory", "infra", "max_hourly_cost")
            if merged.get(key)
        )
        for merged in ({**resources, **alternative} for alternative in alternatives)
    ]
    return ", or ".join(dict.fromkeys(filter(None, asked))) or "what it asks for"


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Turn the errors of SkyPilot's catalog into ours, and keep its own messages off the terminal."""
    try:
        from pandas.errors import EmptyDataError, ParserError
        from requests import RequestException
        from sky import exceptions, sky_logging
        from sky.catalog.common import get_catalog_path
    except ImportError as error:
        raise ConfigError(
            f"no prices for {what}: SkyPilot is not installed here ({error}): run `make setup`"
        ) from error
    said = logging.getLogger("sky.catalog.common")
    level = said.level
    said.setLevel(logging.CRITICAL)
    try:
        with sky_logging.silent():
            yield
    except RequestException as error:
        url = urlsplit(str(error.request.url if error.request else ""))
        name = "/".join(PurePosixPath(url.path).parts[-2:])
        raise ConfigError(
            f"no prices for {what}: SkyPilot's catalog {get_catalog_path(name)} is not here, and cannot be fetched "
            f"from {url.hostname}: connect this machine to the internet, or bring the file from one that has it"
        ) from error
    except (EmptyDataError, ParserError, KeyError) as error:
        raise ConfigError(
            f"no prices for {what}: a file in SkyPilot's catalog {get_catalog_path('')} cannot be read "
            f"({_line(error)}): delete it, so that it is fetched again"
        ) from error
    except ImportError as error:
        raise ConfigError(f"no prices for {what}: packages of a cloud are missing here: {_line(error)}") from error
    except (ValueError, TypeError, exceptions.ResourcesUnavailableError) as error:
        raise ConfigError(f"{what}: its `resources` cannot be used: {_line(error)}") from error
    finally:
        said.setLevel(level)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
