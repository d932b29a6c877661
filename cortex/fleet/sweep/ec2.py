"""What bears our tag in EC2: machines, disks and addresses, in one region.

Network interfaces and spot requests are not looked at: SkyPilot tags neither. The ones it has cost nothing and end with
their machine: it asks for one-time spot machines, and interfaces that are deleted on termination.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cortex.errors import ConfigError, CortexError
from cortex.fleet import aws
from cortex.fleet.names import BUCKET_TAG, OWNER_TAG, RUN_TAG
from cortex.fleet.sweep.standing import Kind

CONTROLLERS = ("sky-jobs-controller-", "sky-serve-controller-")
"""How the names of SkyPilot's own machines begin, which serve many runs."""

END_SECONDS = 300
"""How long a machine may take to end."""

ANSWER_SECONDS = 30.0
"""How long EC2 may take to answer."""


@dataclass(frozen=True)
class Thing:
    """Something rented that bears our tag."""

    kind: Kind
    id: str
    region: str
    label: str
    """Its run, as `run_label` writes it."""
    owner: str | None
    bucket: str | None
    """Its run's, as `bucket_label` writes it; None for what an older kit launched."""
    since: float
    """When it was made, in seconds since 1970 by the cloud's clock; 0 where the cloud does not tell."""
    what: str
    """A machine's type, a disk's size, an address."""
    zone: str | None = None
    spot: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.region, self.id


def regions() -> list[str]:
    """Every region that is enabled for the account. Raises ConfigError where AWS does not tell."""
    try:
        return sorted(entry["RegionName"] for entry in aws.Clients(ANSWER_SECONDS)("ec2").describe_regions()["Regions"])
    except aws.errors() as error:
        fix = "`cortex sweep` needs AWS credentials with ec2:Describe* (`aws configure`, `aws sso login`)"
        raise ConfigError(f"AWS does not tell its regions: {aws.words(error)}; {fix}") from error


def tagged(clients: aws.Clients, region: str) -> tuple[list[Thing], float]:
    """What is ours there: machines that are not ended, disks and addresses that no machine holds. And what time it is
    by the cloud's own clock, since this machine's may be wrong by any amount.

    Raises:
        CortexError: AWS does not tell.
    """
    try:
        client = clients("ec2", region)
        things = [*_machines(client, region), *_disks(client, region)]
        addresses = client.describe_addresses(Filters=[_OURS])
    except aws.errors() as error:
        raise CortexError(f"{region}: {aws.words(error)}") from error
    try:
        now = parsedate_to_datetime(addresses["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    except (KeyError, ValueError) as error:
        raise CortexError(f"{region}: its answer says no time, so that nobody can tell how old anything is") from error
    return [*things, *_addresses(addresses["Addresses"], region)], now


def end(thing: Thing) -> None:
    """End it, and return once it is gone. Ending what is gone already is no error.

    Raises:
        CortexError: AWS refuses, or does not do it in time.
    """
    client = aws.Clients(ANSWER_SECONDS)("ec2", thing.region)
    try:
        if thing.kind == "machine":
            client.terminate_instances(InstanceIds=[thing.id])
            waiting = {"Delay": 5, "MaxAttempts": END_SECONDS // 5}
            client.get_waiter("instance_terminated").wait(InstanceIds=[thing.id], WaiterConfig=waiting)
        elif thing.kind == "disk":
            client.delete_volume(VolumeId=thing.id)
        else:
            client.release_address(AllocationId=thing.id)
    except aws.errors() as error:
        if not aws.code(error).endswith(".NotFound"):
            raise CortexError(f"{thing.kind} {thing.id} in {thing.region}: {aws.words(error)}") from error


def _machines(client: Any, region: str) -> Iterator[Thing]:
    states = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
    for page in client.get_paginator("describe_instances").paginate(Filters=[_OURS, states]):
        for found in (instance for reservation in page["Reservations"] for instance in reservation["Instances"]):
            tags = _tags(found["Tags"])
            if not _is_controller(tags):
                yield Thing(
                    kind="machine",
                    id=found["InstanceId"],
                    region=region,
                    label=tags[RUN_TAG],
                    owner=tags.get(OWNER_TAG),
                    bucket=tags.get(BUCKET_TAG),
                    since=found["LaunchTime"].timestamp(),
                    what=found["InstanceType"],
                    zone=found["Placement"]["AvailabilityZone"],
                    spot=found.get("InstanceLifecycle") == "spot",
                )


def _disks(client: Any, region: str) -> Iterator[Thing]:
    # A disk that a machine holds ends with it, or is found the next time.
    free = {"Name": "status", "Values": ["available", "error"]}
    for page in client.get_paginator("describe_volumes").paginate(Filters=[_OURS, free]):
        for found in page["Volumes"]:
            tags = _tags(found["Tags"])
            if not _is_controller(tags):
                yield Thing(
                    kind="disk",
                    id=found["VolumeId"],
                    region=region,
                    label=tags[RUN_TAG],
                    owner=tags.get(OWNER_TAG),
                    bucket=tags.get(BUCKET_TAG),
                    since=found["CreateTime"].timestamp(),
                    what=f"{found['Size']} GiB",
                    zone=found["AvailabilityZone"],
                )


def _addresses(addresses: Iterable[dict[str, Any]], region: str) -> Iterator[Thing]:
    for found in addresses:
        tags = _tags(found["Tags"])
        if "AssociationId" not in found and "AllocationId" in found and not _is_controller(tags):
            label, owner, bucket = tags[RUN_TAG], tags.get(OWNER_TAG), tags.get(BUCKET_TAG)
            yield Thing("address", found["AllocationId"], region, label, owner, bucket, 0.0, found["PublicIp"])


_OURS = {"Name": "tag-key", "Values": [RUN_TAG]}


def _tags(given: Iterable[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in given}


def _is_controller(tags: dict[str, str]) -> bool:
    """Whether it is SkyPilot's own, whatever else its owner's settings tag it with."""
    names = (tags.get("skypilot-cluster-name", ""), tags.get("ray-cluster-name", ""), tags.get("Name", ""))
    return any(name.startswith(CONTROLLERS) for name in names)
