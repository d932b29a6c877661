"""Machines in a stack's network at Google, which Google does not delete while it has any."""

import json
import subprocess
from typing import Any

from cortex.errors import ConfigError, RefusedError
from cortex.text import harmless
from infra.outputs import GcpOutputs

CLUSTER_LABEL = "ray-cluster-name"
"""SkyPilot's label on each machine that it starts at Google."""

TIMEOUT = 120
"""Timeout in seconds of Google's answer, which usually takes a few."""


def require_no_machines(gcp: GcpOutputs) -> None:
    """Return if there is no machine in the stack's network at Google.

    Raises:
        RefusedError: there are some; the message names each with the command that ends it.
        ConfigError: Google cannot be asked.
    """
    standing = [_with_its_end(gcp, machine) for machine in _machines(gcp)]
    if standing:
        raise RefusedError(
            f"network {gcp.vpc_name} of project {gcp.project} stays while machines stand in it: {'; '.join(standing)}"
        )


def _machines(gcp: GcpOutputs) -> list[dict[str, Any]]:
    command = ["gcloud", "compute", "instances", "list", "--project", gcp.project, "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT, encoding="utf-8")
        found = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise ConfigError(_unasked(gcp, harmless(error.stderr.strip(), limit=300))) from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ConfigError(_unasked(gcp, str(error))) from error
    suffix = f"/networks/{gcp.vpc_name}"
    return [
        machine
        for machine in found
        if any(card["network"].endswith(suffix) for card in machine.get("networkInterfaces", []))
    ]


def _unasked(gcp: GcpOutputs, fault: str) -> str:
    return (
        f"cannot look for machines in network {gcp.vpc_name} of project {gcp.project} ({fault}): install gcloud "
        "(https://cloud.google.com/sdk/docs/install) and log in with `gcloud auth login`, then run this again"
    )


def _with_its_end(gcp: GcpOutputs, machine: dict[str, Any]) -> str:
    """A machine and the command that ends it, in words."""
    name, zone = machine["name"], machine["zone"].rpartition("/")[2]
    cluster = machine.get("labels", {}).get(CLUSTER_LABEL)
    if cluster:
        # In the cloud, a cluster's name ends with its user's hash, which SkyPilot's commands do not want.
        end = f"`sky down {cluster.rpartition('-')[0] or cluster}`"
    else:
        end = f"`gcloud compute instances delete {name} --zone {zone} --project {gcp.project}`"
    return f"{name} ({zone}, {machine['status']}): {end}"
