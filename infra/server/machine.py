"""The machine of SkyPilot's API server: it accepts no connections, and its outgoing address never changes."""

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from cortex.errors import ConfigError
from infra.access import MachineRole
from infra.config import ServerConfig
from infra.network import ANYWHERE, SSH, WorkerNetwork
from infra.server.image import IMAGE

REPLICAS = 8080
"""The port of a service's replicas: `ports` of jobs/serve.yaml."""

BURSTING = ("t2.", "t3.", "t3a.")
"""Burstable types, which by default bill processor time beyond a base share."""


class SkyPilotServer(pulumi.ComponentResource):
    """The server: a machine without an open port, reached by Session Manager, that reaches other machines over SSH.

    The stack's machines have public addresses, since NAT would cost more than the server, and SkyPilot's
    `use_internal_ips` requires subnets without internet access. The server connects to these addresses, so its
    connections come from its own public address. That is an elastic address, which outlives the server; the machines'
    SSH is open to it.
    """

    def __init__(
        self,
        name: str,
        *,
        server_name: str,
        config: ServerConfig,
        network: WorkerNetwork,
        others: Mapping[str, WorkerNetwork],
        zone: str,
        policy: pulumi.Input[str],
        user_data: pulumi.Input[str],
        provider: aws.Provider,
        renewed: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """The server is in `network`, and also reaches machines in `others`, the networks of further regions.

        `user_data` is for its first boot. With `renewed`, a server with the newest image and code replaces it.
        """
        super().__init__("cortex:ground:SkyPilotServer", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = {"Name": server_name}
        role = MachineRole(
            name,
            role_name=server_name,
            description="SkyPilot's server: start and end the stack's machines",
            policy=policy,
            opts=self._child,
        )
        address = self._fixed_address(name, network, others)
        card, bound = self._network_card(name, server_name, network, zone, address)
        machine = aws.ec2.Instance(
            name,
            ami=aws.ssm.get_parameter_output(name=IMAGE, opts=pulumi.InvokeOutputOptions(provider=provider)).value,
            instance_type=config.machine,
            primary_network_interface=aws.ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=card.id),
            iam_instance_profile=role.instance_profile,
            user_data=user_data,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                encrypted=True, volume_type="gp3", volume_size=config.disk_gb, delete_on_termination=True
            ),
            credit_specification=_credits(config.machine),
            tags=self._tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                # A change of its address would break the connections of its first boot.
                depends_on=[bound],
                # SkyPilot's database is on the server's disk, so a newer image or newer code alone must not replace it.
                ignore_changes=[] if renewed else ["ami", "userData"],
                # The network interface belongs to the old machine until that is gone.
                delete_before_replace=True,
            ),
        )
        self.instance: pulumi.Output[str] = machine.id
        self.address: pulumi.Output[str] = address.public_ip
        """Source address of the server's connections to machines, here and on other clouds."""
        self.register_outputs({"instance": self.instance})

    def _fixed_address(self, name: str, network: WorkerNetwork, others: Mapping[str, WorkerNetwork]) -> aws.ec2.Eip:
        """The server's address, from which SSH to the machines of every network is open."""
        address = aws.ec2.Eip(name, domain="vpc", tags=self._tags, opts=self._child)
        _admit(name, network, address, self._child)
        for region, other in others.items():
            # A child of that network, so that the rule is created in its region.
            _admit(f"{name}-{region}", other, address, pulumi.ResourceOptions(parent=other))
        return address

    def _network_card(
        self, name: str, server_name: str, network: WorkerNetwork, zone: str, address: aws.ec2.Eip
    ) -> tuple[aws.ec2.NetworkInterface, aws.ec2.EipAssociation]:
        """The network interface, and its binding to the address; both outlive the machine."""
        card = aws.ec2.NetworkInterface(
            name,
            subnet_id=network.subnets[zone],
            security_groups=[self._closed_group(name, server_name, network)],
            description="SkyPilot's server",
            tags=self._tags,
            # A zone that is added later, and sorted first, must not move the server.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnetId"]),
        )
        bound = aws.ec2.EipAssociation(name, allocation_id=address.id, network_interface_id=card.id, opts=self._child)
        return card, bound

    def _closed_group(self, name: str, server_name: str, network: WorkerNetwork) -> pulumi.Output[str]:
        """A security group that lets nothing in: Session Manager's tunnel begins on the server."""
        group = aws.ec2.SecurityGroup(
            name,
            name=server_name,
            description="SkyPilot's server: nothing comes in",
            vpc_id=network.vpc_id,
            tags=self._tags,
            opts=self._child,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-outside",
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            ip_protocol="-1",
            description="AWS, packages, SSH to machines",
            opts=self._child,
        )
        return group.id


def _admit(name: str, network: WorkerNetwork, address: aws.ec2.Eip, opts: pulumi.ResourceOptions) -> None:
    """Allow the server's connections to machines: SSH, and to a service's replicas, whose load balancer runs on it.

    Rules that name the server's group would only match private addresses. SkyPilot finds the replicas' port open, and
    does not ask to open it to everybody, which the server has no right to.
    """
    for label, port in (("ssh", SSH), ("replicas", REPLICAS)):
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-{label}",
            security_group_id=network.security_group_id,
            cidr_ipv4=address.public_ip.apply(lambda found: f"{found}/32"),
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description="SkyPilot's server",
            opts=opts,
        )


def _credits(machine: str) -> aws.ec2.InstanceCreditSpecificationArgs | None:
    """Keep a burstable machine to its base share and saved credits, so that it never bills processor time on top."""
    return aws.ec2.InstanceCreditSpecificationArgs(cpu_credits="standard") if machine.startswith(BURSTING) else None


def zone_with(machine: str, subnets: Mapping[str, object], provider: aws.Provider) -> str:
    """The first of the network's zones that offers the machine type.

    Raises:
        ConfigError: none does.
    """
    kinds = [aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=[machine])]
    found = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone", filters=kinds, opts=pulumi.InvokeOptions(provider=provider)
    )
    fit = sorted(set(found.locations) & set(subnets))
    if not fit:
        raise ConfigError(f"no zone of {', '.join(sorted(subnets))} has a {machine}: name another server.machine")
    return fit[0]
