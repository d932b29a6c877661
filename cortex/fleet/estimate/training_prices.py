"""Prices of the machines that train a profile, from SkyPilot's catalog."""

from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.clouds.catalog import offers
from cortex.fleet.tasks.run_tasks import resolve
from cortex.fleet.tasks.run_tasks import stages as stages_of
from cortex.profiles.profile import Profile
from cortex.runs.pipeline import SKY_YAML
from cortex.runs.price_list import Offer
from cortex.runs.stage_list import models


def training_offers(profile: Profile, documents: Sequence[Mapping[str, Any]] | None = None) -> tuple[Offer, ...]:
    """Offers for a profile's last training stage, on spot and on-demand, with the profile's own GPUs only.

    A pipeline may allow other GPUs, too, but the work's duration is known for the profile's own alone. `documents` are
    the tasks that are submitted (default: those of `sky.yaml`).

    Raises:
        ConfigError: the catalog cannot be read, or has no such machine.
    """
    last = models(profile)[-1]
    tasks = documents if documents is not None else resolve(profile, "estimate")
    task = next((task for task in tasks if last in stages_of(task, SKY_YAML)), None)
    if task is None:
        raise ConfigError(f"no task of the pipeline runs {last}: give --price-spot and --price-on-demand")
    try:
        found = (*offers(task, spot=True), *offers(task, spot=False))
    except ConfigError as error:
        raise ConfigError(f"{error}; or give --price-spot and --price-on-demand, dollars an hour") from error
    return own_gpu_offers(profile, found)


def own_gpu_offers(profile: Profile, found: Sequence[Offer]) -> tuple[Offer, ...]:
    """The offers with the profile's own kind and number of GPUs; all offers where none has these.

    Where the profile trains on several machines at once, each price is multiplied by their number.
    """
    gpus = f"{profile.hardware.accelerator}:{profile.hardware.gpus}"
    own = tuple(offer for offer in found if offer.accelerators == gpus) or tuple(found)
    nodes = profile.hardware.nodes
    return tuple(offer.model_copy(update={"dollars_per_hour": offer.dollars_per_hour * nodes}) for offer in own)
