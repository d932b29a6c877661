"""Network of machines at Google: a subnet in each region, closed to outside connections except SSH."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network

import pulumi
import pulumi_gcp as gcp

from infra.network import SSH

CIDR = IPv4Network("10.60.0.0/16")
"""The network's addresses, divided evenly among sixteen regions. Networks are not connected, so all stacks use the
same."""

REGION_BITS = 4


class GoogleNetwork(pulumi.ComponentResource):
    """A VPC network with its rules for incoming traffic. Outgoing traffic is allowed, which is Google's default.

    SkyPilot uses a configured network as it is: it neither checks its rules nor adds any. `ssh_from` has CIDR blocks by
    label, and `ports` are open to the blocks in `service_from`.
    """

    def __init__(
        self,
        name: str,
        *,
        vpc_name: str,
        regions: Sequence[str],
        ssh_from: Mapping[str, pulumi.Input[str]],
        service_from: Sequence[str],
        ports: Sequence[int],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:GoogleNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = gcp.compute.Network(
            name,
            name=vpc_name,
            auto_create_subnetworks=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
        parts = list(CIDR.subnets(prefixlen_diff=REGION_BITS))
        for region, part in zip(regions, parts, strict=False):
            gcp.compute.Subnetwork(
                f"{name}-{region}",
                name=f"{vpc_name}-{region}",
                network=made.id,
                region=region,
                ip_cidr_range=str(part),
                # Machines reach the bucket and the registry without the internet.
                private_ip_google_access=True,
                opts=child,
            )
        gcp.compute.Firewall(
            f"{name}-among-themselves",
            name=f"{vpc_name}-among-themselves",
            description="Ray and NCCL between the machines of one cluster",
            network=made.id,
            direction="INGRESS",
            source_ranges=[str(CIDR)],
            allows=[gcp.compute.FirewallAllowArgs(protocol="all")],
            opts=child,
        )
        for label, source in ssh_from.items():
            self._admit(f"{name}-ssh-{label}", f"{vpc_name}-ssh-{label}", made, [SSH], [source])
        if ports:
            self._admit(f"{name}-services", f"{vpc_name}-services", made, ports, service_from)
        self.name: pulumi.Output[str] = made.name
        self.register_outputs({"name": self.name})

    def _admit(
        self,
        resource: str,
        rule: str,
        network: gcp.compute.Network,
        ports: Sequence[int],
        sources: Sequence[pulumi.Input[str]],
    ) -> None:
        gcp.compute.Firewall(
            resource,
            name=rule,
            description="SSH" if list(ports) == [SSH] else "Tasks' services",
            network=network.id,
            direction="INGRESS",
            source_ranges=list(sources),
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp", ports=[str(port) for port in ports])],
            opts=pulumi.ResourceOptions(parent=self),
        )
