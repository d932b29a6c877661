"""The ground in the cloud that `make infra-up` raises: whether this checkout points to one, and its network stands."""

from pathlib import Path

from cortex.fleet import aws
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.settings import CHECKOUT
from cortex.surroundings import SKY_CONFIG
from cortex.yaml_reader import read_yaml

NAME = "stack"

_RAISE = "make infra-up"
_FIRST = f"give the stack its owner's values (docs/ground.md), then {_RAISE}"


def check(ground: Ground) -> Finding:
    """See what `make infra-up` wrote, and ask AWS for the network that it names."""
    settings = ground.settings
    if settings.run_policy is None and settings.network_region is None:
        if settings.bucket is None:
            return Finding(NAME, False, "no stack was raised from this checkout, and no bucket is named", _FIRST)
        detail = f"none of this checkout's: runs are kept in {settings.bucket}, and machines get no role of their own"
        return Finding(NAME, True, detail, f"for a network, roles and repositories of your own: {_FIRST}")
    region = settings.network_region or "the configured region"
    name = _network(ground)
    if name is None:
        detail = ".env is of a stack, and SkyPilot's configuration names no network: machines would get the default one"
        return Finding(NAME, False, detail, f"{_RAISE} writes .sky.yaml anew")
    try:
        found = aws.client("ec2", settings.network_region).describe_vpcs(
            Filters=[{"Name": "tag:Name", "Values": [name]}]
        )
    except aws.errors() as error:
        return Finding(NAME, None, f"{region} cannot be asked for the network {name} ({aws.words(error)})")
    if not found["Vpcs"]:
        return Finding(NAME, False, f"{region} has no network {name}, which .sky.yaml names", _RAISE)
    return Finding(NAME, True, f"the network {name} stands in {region}")


def _network(ground: Ground) -> str | None:
    """The network that SkyPilot is told to start machines in."""
    path = Path(ground.environment.get(SKY_CONFIG) or CHECKOUT / ".sky.yaml")
    config = read_yaml(path) if path.exists() else None
    return ((config or {}).get("aws") or {}).get("vpc_name")
