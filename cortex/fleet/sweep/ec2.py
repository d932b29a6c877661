"""Machines, disks and addresses with the kit's tag in one region of EC2.

Network interfaces and spot requests are not searched: SkyPilot tags neither. They cost nothing and end with their
machine, since SkyPilot asks for one-time spot machines, and for interfaces that are deleted on termination.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cortex.errors import ConfigError, CortexError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.job_names import BUCKET_TAG, OWNER_TAG, RUN_TAG, SERVICE_TAG
from cortex.fleet.sweep.standing import Kind

CONTROLLERS = ("sky-jobs-controller-", "sky-serve-controller-")
"""Prefixes of the names of SkyPilot's own machines, which serve many runs."""

END_SECONDS = 300
"""Most seconds until a machine has ended."""

ANSWER_SECONDS = 30.0
"""Timeout of EC2's answers."""


@dataclass(frozen=True)
class Thing:
    """A rented machine, disk or address with the kit's tag."""

    kind: Kind
    id: str
    region: str
    label: str
    """The run's `run_label`."""
    owner: str | None
    bucket: str | None
    """The `bucket_label` of the run's bucket; None for things that an older kit launched."""
    since: float
    """Time of creation, in seconds since 1970 by the cloud's clock; 0 where the cloud does not tell."""
    what: str
    """A machine's type, a disk's size, an address."""
    zone: str | None = None
    spot: bool = False
    service: str | None = None
    """The service that a machine is a replica of."""

    @property
    def key(self) -> tuple[str, str]:
        return self.region, self.id


def regions() -> list[str]:
    """Every region that is enabled for the account. Raises ConfigError where AWS cannot be asked."""
    try:
        return sorted(
            entry["RegionName"] for entry in aws_api.Clients(ANSWER_SECONDS)("ec2").describe_regions()["Regions"]
        )
    except aws_api.error_types() as error:
        fix = "`cortex sweep` needs AWS credentials with ec2:Describe* (`aws configure`, `aws sso login`)"
        raise ConfigError(f"AWS does not tell its regions: {aws_api.describe_error(error)}; {fix}") from error


def tagged(clients: aws_api.Clients, region: str) -> tuple[list[Thing], float]:
    """The tagged things in a region, and the time by the cloud's clock, since this machine's may be wrong.

    They are machines that have not ended, and disks and addresses that are not attached to a machine.

    Raises:
        CortexError: AWS cannot be asked.
    """
    try:
        client = clients("ec2", region)
        things = [*_machines(client, region), *_disks(client, region)]
        addresses = client.describe_addresses(Filters=[_OURS])
    except aws_api.error_types() as error:
        raise CortexError(f"{region}: {aws_api.describe_error(error)}") from error
    try:
        now = parsedate_to_datetime(addresses["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    except (KeyError, ValueError) as error:
        raise CortexError(f"{region}: its answer says no time, so that nobody can tell how old anything is") from error
    return [*things, *_addresses(addresses["Addresses"], region)], now


def end(thing: Thing) -> None:
    """End a thing, and return once it is gone; no error if it is gone already.

    Raises:
        CortexError: AWS refuses, or does not end it in time.
    """
    client = aws_api.Clients(ANSWER_SECONDS)("ec2", thing.region)
    try:
        if thing.kind == "machine":
            client.terminate_instances(InstanceIds=[thing.id])
            waiting = {"Delay": 5, "MaxAttempts": END_SECONDS // 5}
            client.get_waiter("instance_terminated").wait(InstanceIds=[thing.id], WaiterConfig=waiting)
        elif thing.kind == "disk":
            client.delete_volume(VolumeId=thing.id)
        else:
            client.release_address(AllocationId=thing.id)
    except aws_api.error_types() as error:
        if not aws_api.error_code(error).endswith(".NotFound"):
            raise CortexError(f"{thing.kind} {thing.id} in {thing.region}: {aws_api.describe_error(error)}") from error


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
                    service=tags.get(SERVICE_TAG),
                )


def _disks(client: Any, region: str) -> Iterator[Thing]:
    # An attached disk ends with its machine; if it does not, the next sweep finds it.
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
    """True for SkyPilot's own machines, which may have the kit's tag, too, by the settings of their owner."""
    names = (tags.get("skypilot-cluster-name", ""), tags.get("ray-cluster-name", ""), tags.get("Name", ""))
    return any(name.startswith(CONTROLLERS) for name in names)
