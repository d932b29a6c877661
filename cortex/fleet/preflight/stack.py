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
    names = networks(Path(ground.environment.get(SKY_CONFIG) or CHECKOUT / ".sky.yaml"))
    if not names:
        detail = ".env is of a stack, and SkyPilot's configuration names no network: machines would get the default one"
        return Finding(NAME, False, detail, f"{_RAISE} writes .sky.yaml anew")
    named = " or ".join(names)
    try:
        ec2 = aws.client("ec2", settings.network_region)
        found = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": names}])
    except aws.errors() as error:
        return Finding(NAME, None, f"{region} cannot be asked for the network {named} ({aws.words(error)})")
    if not found["Vpcs"]:
        return Finding(NAME, False, f"{region} has no network {named}, which .sky.yaml names", _RAISE)
    return Finding(NAME, True, f"the network {named} stands in {region}")


def networks(path: Path) -> list[str]:
    """The networks of AWS, by their names, that a configuration tells SkyPilot to start machines in.

    It takes one of them, or several to try, and knows an older word for one.
    """
    config = read_yaml(path) if path.exists() else None
    of_aws = config.get("aws") if isinstance(config, dict) else None
    if not isinstance(of_aws, dict):
        return []
    given = of_aws.get("vpc_names") or of_aws.get("vpc_name") or []
    return [str(name) for name in given] if isinstance(given, list) else [str(given)]
