"""Features that SkyPilot supports on a cloud, read from its own classes, and features that this kit supports there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex.errors import ConfigError, UsageError
from cortex.fleet.clouds.packages import install_command
from cortex.runs.pipeline import container_of
from cortex.section import nearest

if TYPE_CHECKING:
    from sky import Resources
    from sky.clouds import Cloud

METADATA = ("aws", "gcp", "azure")
"""Clouds whose metadata service the kit reads: machine type, region and zone, launch time, preemption notices."""

WATCHED = ("aws",)
"""Clouds whose API the kit asks: `cortex watch` and `make sweep` for machines, preflight for quotas."""

OWN_MACHINES = ("kubernetes", "ssh")
"""Clouds made of machines that the user already has; SkyPilot knows no price for them."""

_MARKETPLACES = ("vast", "primeintellect", "hyperbolic", "shadeform")
"""Clouds that rent out machines of private owners, who could read what is on them."""

_OPTIONAL = {
    "use_spot": "SPOT_INSTANCE",
    "disk_tier": "CUSTOM_DISK_TIER",
    "network_tier": "CUSTOM_NETWORK_TIER",
    "local_disk": "LOCAL_DISK",
}
"""Keys of a task's `resources` that a cloud may not support, and SkyPilot's names of these features. Without such a key
a machine costs more or is slower, but does the same work."""

_NAMES = {"use_spot": "spot machines (all are on demand)", "disk_tier": "choice of the disk's speed"}
"""Names in words for those keys that the kit's own files use."""


@dataclass(frozen=True)
class Target:
    """The cloud that a launch goes to, by SkyPilot's name, and a place in it; None for any place."""

    cloud: str
    place: str | None = None
    """A region, with `/` and a zone where the cloud has them; a context of Kubernetes; a pool of SSH machines."""

    @property
    def infra(self) -> str:
        """The target in the syntax of a task's `infra`."""
        return f"{self.cloud}/{self.place}" if self.place else self.cloud

    @classmethod
    def read(cls, text: str) -> "Target":
        """Parse a target as a user types it: `vast`, `gcp/us-central1`, `ssh/<pool>`, `k8s/<context>`.

        Raises:
            UsageError: SkyPilot knows no such cloud, or cannot parse the text.
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
    """SkyPilot's canonical name of a cloud, from that name or an alias.

    Raises:
        UsageError: SkyPilot knows no such cloud; the message suggests the nearest name.
    """
    from sky.utils.registry import CLOUD_REGISTRY

    try:
        cloud: Any = CLOUD_REGISTRY.from_str(name.strip())
    except ValueError as error:
        raise UsageError(f"no cloud {name!r}: {nearest(name.strip().lower(), list(CLOUD_REGISTRY))}") from error
    return cloud.canonical_name()


def unsupported_features(target: Target, *, spot: bool = False) -> dict[str, str]:
    """Features that SkyPilot does not support on a cloud: names of `CloudImplementationFeatures`, each with its reason.

    `spot` asks about spot machines, which some clouds cannot stop or terminate as they do others.

    Raises:
        ConfigError: SkyPilot's packages for the cloud are not installed here.
    """
    from sky import Resources
    from sky.utils.registry import CLOUD_REGISTRY

    cloud = CLOUD_REGISTRY[target.cloud]
    try:
        return _unsupported(cloud, Resources(cloud=cloud, use_spot=spot))
    except ImportError as error:
        raise ConfigError(
            f"SkyPilot lacks packages for {target.cloud} on this machine: {install_command(target.cloud)}"
        ) from error


def has_spot(cloud: str) -> bool:
    """True where SkyPilot rents spot machines on the cloud."""
    return "SPOT_INSTANCE" not in unsupported_features(Target(cloud))


def fit_resources(resources: Mapping[str, Any], target: Target, task: str, nodes: int = 1) -> dict[str, Any]:
    """One alternative of a task, without the optional keys that its cloud does not support.

    Raises:
        ConfigError: the cloud lacks a feature that the task cannot do without.
    """
    missing = unsupported_features(target)
    needs = {
        "DOCKER_IMAGE": container_of(resources.get("image_id")) is not None,
        "MULTI_NODE": nodes > 1,
        "OPEN_PORTS": bool(resources.get("ports")),
        # A rented machine that does not end by itself costs money until somebody remembers it.
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
        kept["image_id"] = container_of(kept["image_id"])  # the mapping's other entries are images of AWS's regions
    return kept


def describe_limits(
    clouds: Iterable[str], *, spot: bool, dearest: float, keys: bool, is_run: bool = True, deadline: bool = False
) -> tuple[str, ...]:
    """Lines for the user on what the kit and SkyPilot cannot do on these clouds, as far as the launch is affected.

    `spot` is True where the launch asks for spot machines, `dearest` is the highest price of a machine in dollars an
    hour, and `keys` is True where the bucket's keys are sent to the machines.
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
    missing = unsupported_features(Target(cloud))
    names = [name for key, name in _NAMES.items() if _OPTIONAL[key] in missing]
    if names:
        yield f"it has no {', and no '.join(names)}: what the file says of that is left out"
    if keys:
        yield "its machines have no role of the bucket: the bucket's keys go along as secrets of the job"


def _unsupported(cloud: "Cloud", resources: "Resources") -> dict[str, str]:
    # SkyPilot has no public function that lists all unsupported features: `check_features_are_supported` takes a set,
    # and stops at the first that is not supported.
    found = cloud._unsupported_features_for_resources(resources)  # pyright: ignore[reportPrivateUsage]
    return {feature.name: reason for feature, reason in found.items()}


def _clouds() -> list[str]:
    from sky.utils.registry import CLOUD_REGISTRY

    return sorted(CLOUD_REGISTRY)


def _can(cloud: str, needs: Mapping[str, bool]) -> bool:
    missing = unsupported_features(Target(cloud))
    return not any(needed and name in missing for name, needed in needs.items())
