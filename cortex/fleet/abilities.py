"""A cloud's abilities: those that SkyPilot has there, asked of its own classes, and those that this kit has there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex.errors import ConfigError, UsageError
from cortex.runs.pipeline import container_of
from cortex.section import nearest

if TYPE_CHECKING:
    from sky import Resources
    from sky.clouds import Cloud

METADATA = ("aws", "gcp", "azure")
"""Clouds whose metadata services the kit reads on a machine: its type, its place, its launch, notices of its end."""

WATCHED = ("aws",)
"""Clouds that are asked for their machines: by `cortex watch`, by `make sweep`, and for quotas by preflight."""

OWN_MACHINES = ("kubernetes", "ssh")
"""Machines that one already has, of which SkyPilot knows no price."""

_MARKETPLACES = ("vast", "primeintellect", "hyperbolic", "shadeform")
"""Machines of whoever offers one: their owner could read what is on them."""

_OPTIONAL = {
    "use_spot": "SPOT_INSTANCE",
    "disk_tier": "CUSTOM_DISK_TIER",
    "network_tier": "CUSTOM_NETWORK_TIER",
    "local_disk": "LOCAL_DISK",
}
"""Keys of a task's `resources` that a cloud may lack, and SkyPilot's names of these features. Without one of these keys
a machine costs more or is slower, and does the same work."""

_NAMES = {"use_spot": "spot machines (all are on demand)", "disk_tier": "choice of the disk's speed"}
"""Those of them that the kit's own files ask for, in words."""


@dataclass(frozen=True)
class Target:
    """Where a launch is to go: a cloud by SkyPilot's name, and a place in it, or any."""

    cloud: str
    place: str | None = None
    """A region, with `/` and a zone where the cloud has them; a context of Kubernetes; a pool of SSH machines."""

    @property
    def infra(self) -> str:
        """As a task's `infra` says it."""
        return f"{self.cloud}/{self.place}" if self.place else self.cloud

    @classmethod
    def read(cls, text: str) -> "Target":
        """A target as somebody types it: `vast`, `gcp/us-central1`, `ssh/<pool>`, `k8s/<context>`.

        Raises:
            UsageError: SkyPilot knows no such cloud, or it is no such text.
        """
        from sky.utils.infra_utils import InfraInfo

        named, _, place = text.strip().strip("/").partition("/")
        cloud = known_cloud(named)
        try:
            InfraInfo.from_str(f"{cloud}/{place}" if place else cloud)
        except ValueError as error:
            raise UsageError(f"--cloud {text!r} cannot be read: {' '.join(str(error).split())}") from error
        return cls(cloud, None if place in ("", "*") else place)


def known_cloud(name: str) -> str:
    """A cloud's name as SkyPilot writes it, from this or one of its other names.

    Raises:
        UsageError: SkyPilot knows no such cloud; with the name that is nearest.
    """
    from sky.utils.registry import CLOUD_REGISTRY

    try:
        cloud: Any = CLOUD_REGISTRY.from_str(name.strip())
    except ValueError as error:
        raise UsageError(f"no cloud {name!r}: {nearest(name.strip().lower(), list(CLOUD_REGISTRY))}") from error
    return cloud.canonical_name()


def lacking(target: Target, *, spot: bool = False) -> dict[str, str]:
    """What SkyPilot cannot do on a cloud, by the names of its `CloudImplementationFeatures`, each with its reason.

    `spot` asks for spot machines, which some clouds cannot stop, or end, as others.

    Raises:
        ConfigError: packages are missing here without which SkyPilot cannot say.
    """
    from sky import Resources
    from sky.utils.registry import CLOUD_REGISTRY

    from cortex.fleet.access import installing

    cloud = CLOUD_REGISTRY[target.cloud]
    try:
        return _unsupported(cloud, Resources(cloud=cloud, use_spot=spot))
    except ImportError as error:
        raise ConfigError(
            f"SkyPilot lacks packages for {target.cloud} on this machine: {installing(target.cloud)}"
        ) from error


def has_spot(cloud: str) -> bool:
    """Whether SkyPilot rents spot machines on a cloud."""
    return "SPOT_INSTANCE" not in lacking(Target(cloud))


def fit_resources(resources: Mapping[str, Any], target: Target, task: str, nodes: int = 1) -> dict[str, Any]:
    """One alternative of a task as its cloud takes it: without the keys that only make it cheaper or faster elsewhere.

    Raises:
        ConfigError: the cloud cannot run such a task at all.
    """
    missing = lacking(target)
    needs = {
        "DOCKER_IMAGE": container_of(resources.get("image_id")) is not None,
        "MULTI_NODE": nodes > 1,
        "OPEN_PORTS": bool(resources.get("ports")),
        # Without an end of its own a rented machine would cost money until somebody remembers it.
        "AUTODOWN": bool(resources.get("autostop")),
        "AUTO_TERMINATE": bool(resources.get("autostop")),
    }
    fault = next((missing[name] for name, needed in needs.items() if needed and name in missing), None)
    if fault:
        able = [name for name in _clouds() if name not in OWN_MACHINES and _can(name, needs)]
        raise ConfigError(
            f"task {task!r} cannot run on {target.cloud}: {' '.join(fault.split()).rstrip('.')}: choose another cloud "
            f"({', '.join(able)})"
        )
    dropped = {key for key, feature in _OPTIONAL.items() if feature in missing}
    kept = {key: value for key, value in resources.items() if key not in dropped}
    if target.cloud != "aws" and isinstance(kept.get("image_id"), Mapping):
        kept["image_id"] = container_of(kept["image_id"])  # beside it are images of AWS's regions
    return kept


def describe_limits(
    clouds: Iterable[str], *, spot: bool, dearest: float, keys: bool, is_run: bool = True, deadline: bool = False
) -> tuple[str, ...]:
    """For people, what the kit and SkyPilot cannot do on these clouds, as far as a launch there meets it.

    `spot` says whether it asks for spot machines, `dearest` is the highest price of a machine in dollars an hour,
    `keys` says whether a bucket's keys go along.
    """
    said: list[str] = []
    for cloud in sorted(set(clouds)):
        if cloud in WATCHED:
            continue
        said += [f"{cloud}: {limit}" for limit in _limits(cloud, spot, dearest, keys, is_run, deadline)]
    return tuple(said)


def _limits(cloud: str, spot: bool, dearest: float, keys: bool, is_run: bool, deadline: bool) -> Iterable[str]:
    if cloud in OWN_MACHINES:
        yield "SkyPilot knows no price of these machines: they count as $0.00/h, so the budget in dollars ends nothing"
    elif cloud not in METADATA and is_run:
        yield (
            f"no machine there can tell what it is: each counts as the dearest above (${dearest:.2f}/h), from the "
            "start of its program, not of the machine; disks and traffic are in the cloud's bill alone"
        )
    if cloud not in METADATA:
        if spot:
            yield "a spot machine is taken back without notice: what was done since its last checkpoint is done again"
        if deadline:
            yield "no machine there can tell whether it is on spot, so one on demand is not left for spot by itself"
    if cloud not in OWN_MACHINES:
        yield (
            "`cortex watch` and `make sweep` do not see its machines, so launches that fail are tried again without "
            "end: look with `.venv/bin/sky status`, and in its console, for what still costs money"
        )
    if cloud in _MARKETPLACES:
        yield "the machine is a stranger's, who can read its disk and its secrets: give keys that open one bucket alone"
    missing = lacking(Target(cloud))
    names = [name for key, name in _NAMES.items() if _OPTIONAL[key] in missing]
    if names:
        yield f"it has no {', and no '.join(names)}: what the file says of that is left out"
    if keys:
        yield "its machines have no role of the bucket: the bucket's keys go along as secrets of the job"


def _unsupported(cloud: "Cloud", resources: "Resources") -> dict[str, str]:
    # SkyPilot has no public question for all that a cloud cannot do: `check_features_are_supported` takes a set, and
    # stops at the first.
    found = cloud._unsupported_features_for_resources(resources)  # pyright: ignore[reportPrivateUsage]
    return {feature.name: reason for feature, reason in found.items()}


def _clouds() -> list[str]:
    from sky.utils.registry import CLOUD_REGISTRY

    return sorted(CLOUD_REGISTRY)


def _can(cloud: str, needs: Mapping[str, bool]) -> bool:
    missing = lacking(Target(cloud))
    return not any(needed and name in missing for name, needed in needs.items())
