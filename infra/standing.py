"""Machines in a stack's network that are not the stack's. While one stands there, stopped or not, AWS does not give the
network back."""

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cortex.errors import ConfigError, RefusedError
from cortex.fleet.names import RUN_TAG
from cortex.text import harmless
from infra.outputs import GroundOutputs

CLUSTER_TAG = "skypilot-cluster-name"
"""SkyPilot's own, on each machine that it starts, its controllers among them."""


def require_empty(outputs: GroundOutputs) -> None:
    """Return if no machine stands in the stack's network but its own server.

    Raises:
        RefusedError: some do; the message names each with the command that ends it.
        ConfigError: AWS cannot be asked.
    """
    try:
        own = outputs.server.instance if outputs.server else None
        standing = [_with_its_end(machine) for machine in _machines(outputs) if machine["InstanceId"] != own]
    except (BotoCoreError, ClientError) as error:
        raise ConfigError(
            f"cannot look for machines in network {outputs.vpc_name} of {outputs.region} ({error}): log in to AWS, "
            "then run this again"
        ) from error
    if standing:
        raise RefusedError(f"network {outputs.vpc_name} stays while machines stand in it: {'; '.join(standing)}")


def _machines(outputs: GroundOutputs) -> list[dict[str, Any]]:
    client = boto3.client("ec2", region_name=outputs.region)
    networks = client.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [outputs.vpc_name]}])["Vpcs"]
    if not networks:
        return []
    wanted = [
        {"Name": "vpc-id", "Values": [network["VpcId"] for network in networks]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    pages = client.get_paginator("describe_instances").paginate(Filters=wanted)
    return [machine for page in pages for reservation in page["Reservations"] for machine in reservation["Instances"]]


def _with_its_end(machine: dict[str, Any]) -> str:
    """A machine, and how one ends it."""
    tags = {tag["Key"]: harmless(tag["Value"], limit=100) for tag in machine.get("Tags", [])}
    if cluster := tags.get(CLUSTER_TAG):
        # On its cloud a cluster's name has its user's hash at the end, which SkyPilot's commands do not.
        end = f"`sky down {cluster.rpartition('-')[0] or cluster}`"
    else:
        end = f"`aws ec2 terminate-instances --instance-ids {machine['InstanceId']}`"
    run = f", of run {tags[RUN_TAG]}" if RUN_TAG in tags else ""
    name = tags.get(CLUSTER_TAG) or tags.get("Name") or "without a name"
    return f"{machine['InstanceId']} ({name}{run}, {machine['State']['Name']}): {end}"
