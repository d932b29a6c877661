"""Machines in a stack's network that are not the stack's. While there is one, even a stopped one, AWS does not delete
the network."""

from collections.abc import Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cortex.errors import ConfigError, RefusedError
from cortex.fleet.clouds.job_names import RUN_TAG
from cortex.text import harmless
from infra.outputs import GroundOutputs

CLUSTER_TAG = "skypilot-cluster-name"
"""SkyPilot's tag on each machine that it starts, also on its controllers."""


def require_empty(outputs: GroundOutputs, regions: Sequence[str] | None = None) -> None:
    """Return if the stack's networks, all or those of some regions, have no machine except the stack's own server.

    Raises:
        RefusedError: there are some; the message names each with the command that ends it.
        ConfigError: AWS cannot be asked.
    """
    regions = outputs.regions if regions is None else regions
    try:
        own = outputs.server.instance if outputs.server else None
        standing = [
            _with_its_end(machine, "" if region == outputs.region else region)
            for region in regions
            for machine in _machines(outputs.vpc_name, region)
            if machine["InstanceId"] != own
        ]
    except (BotoCoreError, ClientError) as error:
        raise ConfigError(
            f"cannot look for machines in network {outputs.vpc_name} of {' and '.join(regions)} ({error}): "
            "log in to AWS, then run this again"
        ) from error
    if standing:
        raise RefusedError(f"network {outputs.vpc_name} stays while machines stand in it: {'; '.join(standing)}")


def _machines(vpc_name: str, region: str) -> list[dict[str, Any]]:
    client = boto3.client("ec2", region_name=region)
    networks = client.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [vpc_name]}])["Vpcs"]
    if not networks:
        return []
    wanted = [
        {"Name": "vpc-id", "Values": [network["VpcId"] for network in networks]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    pages = client.get_paginator("describe_instances").paginate(Filters=wanted)
    return [machine for page in pages for reservation in page["Reservations"] for machine in reservation["Instances"]]


def _with_its_end(machine: dict[str, Any], region: str) -> str:
    """A machine and the command that ends it, in words; `region` is empty in the stack's own region."""
    tags = {tag["Key"]: harmless(tag["Value"], limit=100) for tag in machine.get("Tags", [])}
    if cluster := tags.get(CLUSTER_TAG):
        # In the cloud, a cluster's name ends with its user's hash, which SkyPilot's commands do not want.
        end = f"`sky down {cluster.rpartition('-')[0] or cluster}`"
    else:
        there = f" --region {region}" if region else ""
        end = f"`aws ec2 terminate-instances{there} --instance-ids {machine['InstanceId']}`"
    run = f", of run {tags[RUN_TAG]}" if RUN_TAG in tags else ""
    name = tags.get(CLUSTER_TAG) or tags.get("Name") or "without a name"
    where = f" in {region}" if region else ""
    return f"{machine['InstanceId']}{where} ({name}{run}, {machine['State']['Name']}): {end}"
