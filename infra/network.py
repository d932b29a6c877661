"""Network of machines in one region: a public subnet in each zone, closed to outside connections except allowed SSH."""

from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from infra.policies import endpoint_policy

ANYWHERE = "0.0.0.0/0"
ZONE_BITS = 3
"""Bits of the subnet's number: the network has eight parts, so a zone can be added without moving the others."""

SSH = 22


def every_zone(provider: aws.Provider) -> list[str]:
    """The full names of a region's availability zones, without local and wavelength zones, which need an opt-in."""
    kinds = aws.GetAvailabilityZonesFilterArgs(name="zone-type", values=["availability-zone"])
    found = aws.get_availability_zones(state="available", filters=[kinds], opts=pulumi.InvokeOptions(provider=provider))
    return sorted(found.names)


class WorkerNetwork(pulumi.ComponentResource):
    """A VPC over several zones, a free gateway to S3, and the security group that SkyPilot gives its machines.

    Subnets are public, because a NAT gateway in each zone would bill every gigabyte. `zones` are full names; `ssh_from`
    are CIDR blocks, to which `ports` are open as well as SSH.
    """

    def __init__(
        self,
        name: str,
        *,
        vpc_name: str,
        cidr: IPv4Network,
        zones: Sequence[str],
        ssh_from: Sequence[str],
        ports: Sequence[int],
        region: str,
        account: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cortex:ground:WorkerNetwork", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        # SkyPilot finds the network by this tag.
        vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": vpc_name},
            opts=self._child,
        )
        # The group of machines for which none is named lets nothing in or out.
        aws.ec2.DefaultSecurityGroup(name, vpc_id=vpc.id, ingress=[], egress=[], opts=self._child)
        self.subnets: dict[str, pulumi.Output[str]] = {}
        """Id of each zone's subnet, by the zone's full name."""
        routes = self._routes_outside(name, vpc, cidr, zones, vpc_name)
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            policy=endpoint_policy(account),
            tags={"Name": f"{vpc_name}-s3"},
            opts=self._child,
        )
        self.vpc_name = vpc_name
        self.vpc_id: pulumi.Output[str] = vpc.id
        self.vpc_arn: pulumi.Output[str] = vpc.arn
        self.security_group_name = f"{vpc_name}-workers"
        self.security_group_id = self._security_group(name, vpc, ssh_from, ports)
        self.register_outputs({"vpc_name": vpc_name, "security_group_name": self.security_group_name})

    def _routes_outside(
        self, name: str, vpc: aws.ec2.Vpc, cidr: IPv4Network, zones: Sequence[str], vpc_name: str
    ) -> aws.ec2.RouteTable:
        gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags={"Name": vpc_name}, opts=self._child)
        routes = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags={"Name": vpc_name}, opts=self._child)
        aws.ec2.Route(
            f"{name}-outside",
            route_table_id=routes.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        parts = list(cidr.subnets(prefixlen_diff=ZONE_BITS))
        for zone in zones:
            # By the zone's letter, not its position in the list, so that adding a zone does not move the others.
            part = parts[(ord(zone[-1]) - ord("a")) % len(parts)]
            subnet = aws.ec2.Subnet(
                f"{name}-{zone}",
                vpc_id=vpc.id,
                cidr_block=str(part),
                availability_zone=zone,
                map_public_ip_on_launch=True,
                tags={"Name": f"{vpc_name}-{zone}"},
                opts=self._child,
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-{zone}", subnet_id=subnet.id, route_table_id=routes.id, opts=self._child
            )
            self.subnets[zone] = subnet.id
        return routes

    def _security_group(
        self, name: str, vpc: aws.ec2.Vpc, ssh_from: Sequence[str], ports: Sequence[int]
    ) -> pulumi.Output[str]:
        group = aws.ec2.SecurityGroup(
            name,
            name=self.security_group_name,
            description="Training machines: SSH from SkyPilot, anything among themselves",
            vpc_id=vpc.id,
            tags={"Name": self.security_group_name},
            opts=self._child,
        )
        # SkyPilot opens SSH to the world in a group without any inbound rule, so this group always has one.
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-among-themselves",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="Ray and NCCL between the machines of one cluster",
            opts=self._child,
        )
        opened = [("ssh", SSH, "SSH"), *((f"port-{port}", port, "A task's service") for port in ports)]
        for source in ssh_from:
            for label, port, description in opened:
                aws.vpc.SecurityGroupIngressRule(
                    f"{name}-{label}-{source}",
                    security_group_id=group.id,
                    cidr_ipv4=source,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    description=description,
                    opts=self._child,
                )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-outside",
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            ip_protocol="-1",
            description="Packages, weights, registries",
            opts=self._child,
        )
        # EFA requires a rule for its own traffic, although the rule above covers it; SkyPilot would add it otherwise.
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-among-themselves",
            security_group_id=group.id,
            referenced_security_group_id=group.id,
            ip_protocol="-1",
            description="EFA between the machines of one cluster",
            opts=self._child,
        )
        return group.id
