"""A run's machines by the cloud's own record, gone ones included: EC2 lists a machine for an hour after its end."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cortex.artifacts.parallel import in_parallel
from cortex.errors import CortexError
from cortex.fleet.clouds import aws_api
from cortex.fleet.clouds.job_names import BUCKET_TAG, RUN_TAG, bucket_label, run_label

ANSWER_SECONDS = 15.0
"""Timeout of EC2's answers."""

AT_ONCE = 8
"""Regions that are asked at the same time."""

_CLOSED = ("AuthFailure", "OptInRequired", "UnauthorizedOperation")
"""EC2's errors for a region that the account has not enabled, or may not use: it has no machines there."""

_HEAD = "skypilot-head-node"
"""SkyPilot's tag that is `1` on a cluster's head."""

_COSTS = ("pending", "running")
"""States in which a machine is billed; a machine that is shutting down is not."""

_MOMENT = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_TAKEN = ("Server.SpotInstance", "Server.InsufficientInstanceCapacity", "Server.InternalError")


@dataclass(frozen=True)
class Rental:
    """A machine of a run by the cloud's record. Times are in seconds since 1970, by the cloud's clock."""

    machine: str
    region: str
    zone: str
    instance_type: str
    spot: bool
    head: bool
    """True for the head of a cluster, whose program writes to the ledger for all its machines."""
    launched: float
    standing: bool
    """True while it is billed."""
    ended: float | None
    """Time of its end; None while it is billed, and where the cloud does not tell."""
    taken: bool
    """True where the cloud ended it, as in a preemption: no failure of the launch."""


def rentals(run: str, bucket: str, regions: Collection[str], known: Collection[str] = ()) -> tuple[list[Rental], float]:
    """The run's machines in these regions, and the cloud's time; machines in `known` are also looked up by their ids.

    Raises:
        CortexError: a region cannot be asked, so that machines might be missed. A region that is closed to the account
            has none; but if all regions are closed, the credentials themselves are refused.
    """
    clients, closed = aws_api.Clients(ANSWER_SECONDS), list[CortexError]()

    def ask(region: str) -> tuple[list[Rental], float]:
        try:
            return _ask(clients("ec2", region), run, bucket, region, known)
        except aws_api.error_types() as error:
            fault = CortexError(
                f"EC2 in {region} does not tell the machines of run {run}: {aws_api.describe_error(error)}"
            )
            if aws_api.error_code(error) not in _CLOSED:
                raise fault from error
            closed.append(fault)
            return [], 0.0

    answers = in_parallel(ask, sorted(regions), min(AT_ONCE, len(regions))) if regions else []
    if closed and len(closed) == len(answers):
        raise closed[0]
    return [rental for found, _ in answers for rental in found], max((now for _, now in answers), default=0.0)


def end(rental: Rental) -> None:
    """Terminate a machine; no error if it is gone already.

    Raises:
        CortexError: AWS refuses.
    """
    try:
        aws_api.Clients(ANSWER_SECONDS)("ec2", rental.region).terminate_instances(InstanceIds=[rental.machine])
    except aws_api.error_types() as error:
        if not aws_api.error_code(error).endswith(".NotFound"):
            raise CortexError(
                f"machine {rental.machine} in {rental.region}: {aws_api.describe_error(error)}"
            ) from error


def _ask(client: Any, run: str, bucket: str, region: str, known: Collection[str]) -> tuple[list[Rental], float]:
    # Both tags: another bucket of the account may have a run of the same id.
    tags = {RUN_TAG: run_label(run), BUCKET_TAG: bucket_label(bucket)}
    wanted = [[{"Name": f"tag:{name}", "Values": [value]} for name, value in tags.items()]]
    if known:
        # EC2 removes the tags of a machine that is gone before its record.
        wanted.append([{"Name": "instance-id", "Values": sorted(known)}])
    found, now = dict[str, Rental](), 0.0
    for filters in wanted:
        for page in client.get_paginator("describe_instances").paginate(Filters=filters):
            instances = (instance for reservation in page["Reservations"] for instance in reservation["Instances"])
            found |= {instance["InstanceId"]: read_rental(instance, region) for instance in instances}
            now = _date(page, region)
    return list(found.values()), now


def _date(page: dict[str, Any], region: str) -> float:
    try:
        return parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
    except (KeyError, ValueError) as error:
        raise CortexError(f"EC2 in {region} answers without the time, by which machines are billed") from error


def read_rental(found: dict[str, Any], region: str) -> Rental:
    """A machine from EC2's description of an instance."""
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
    standing = found["State"]["Name"] in _COSTS
    moment = None if standing else _MOMENT.search(found.get("StateTransitionReason", ""))
    return Rental(
        machine=found["InstanceId"],
        region=region,
        zone=found["Placement"]["AvailabilityZone"],
        instance_type=found["InstanceType"],
        spot=found.get("InstanceLifecycle") == "spot",
        head=tags.get(_HEAD) == "1",
        launched=found["LaunchTime"].timestamp(),
        standing=standing,
        ended=datetime.fromisoformat(moment[1]).replace(tzinfo=UTC).timestamp() if moment else None,
        taken=found.get("StateReason", {}).get("Code", "").startswith(_TAKEN),
    )
