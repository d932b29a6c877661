"""Check of the stack that `make infra-up` creates: this checkout points to one, and its networks exist."""

from collections.abc import Sequence
from pathlib import Path

from cortex.artifacts.parallel import in_parallel
from cortex.errors import CortexError
from cortex.fleet.clouds import aws_api
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.settings import CHECKOUT
from cortex.variables.surroundings import SKY_CONFIG
from cortex.yaml_reader import read_yaml

NAME = "stack"

_RAISE = "make infra-up"
_CONFIGURED = "the configured region"
_FIRST = f"give the stack its owner's values (docs/ground.md), then {_RAISE}"


def check(ground: Ground) -> Finding:
    """Read the files that `make infra-up` wrote, and ask AWS for the network that they name, in each region."""
    settings = ground.settings
    if settings.run_policy is None and not settings.network_regions:
        if settings.bucket is None:
            return Finding(NAME, False, "no stack was raised from this checkout, and no bucket is named", _FIRST)
        detail = f"none of this checkout's: runs are kept in {settings.bucket}, and machines get no role of their own"
        return Finding(NAME, True, detail, f"for a network, roles and repositories of your own: {_FIRST}")
    names = networks(Path(ground.environment.get(SKY_CONFIG) or CHECKOUT / ".sky.yaml"))
    if not names:
        detail = ".env is of a stack, and SkyPilot's configuration names no network: machines would get the default one"
        return Finding(NAME, False, detail, f"{_RAISE} writes .sky.yaml anew")
    named = " or ".join(names)
    try:
        without = _regions_without(names, settings.network_regions)
    except CortexError as error:
        return Finding(NAME, None, f"nobody knows whether the network {named} stands: {error}")
    if without:
        detail = f"{' and '.join(without)} {'has' if len(without) == 1 else 'have'} no network {named}"
        return Finding(NAME, False, f"{detail}, which .sky.yaml names", _RAISE)
    stands = " and ".join(settings.network_regions) or _CONFIGURED
    return Finding(NAME, True, f"the network {named} stands in {stands}")


def _regions_without(names: list[str], regions: Sequence[str]) -> list[str]:
    """The regions that have no network of these names; without `regions`, the configured region is asked.

    Raises:
        CortexError: AWS cannot be asked.
    """
    try:
        clients = aws_api.Clients()
    except aws_api.error_types() as error:
        raise CortexError(aws_api.describe_error(error)) from error

    def has_one(region: str | None) -> bool:
        try:
            found = clients("ec2", region).describe_vpcs(Filters=[{"Name": "tag:Name", "Values": names}])
        except aws_api.error_types() as error:
            raise CortexError(f"{region or _CONFIGURED} cannot be asked ({aws_api.describe_error(error)})") from error
        return bool(found["Vpcs"])

    asked = regions or (None,)
    there = in_parallel(has_one, asked, len(asked))
    return [region or _CONFIGURED for region, found in zip(asked, there, strict=True) if not found]


def networks(path: Path) -> list[str]:
    """Names of the AWS networks in SkyPilot's configuration: one, or several to try, under its new or its old key."""
    config = read_yaml(path) if path.exists() else None
    of_aws = config.get("aws") if isinstance(config, dict) else None
    if not isinstance(of_aws, dict):
        return []
    given = of_aws.get("vpc_names") or of_aws.get("vpc_name") or []
    return [str(name) for name in given] if isinstance(given, list) else [str(given)]
