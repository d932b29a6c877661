"""The network: closed from outside, open towards it, and found by SkyPilot."""

from ipaddress import IPv4Network
from typing import Any

import boto3
from sky.provision.aws import config as sky_aws

from infra.outputs import sky_config
from tests.infra.emulation.authorization import allowed
from tests.infra.world import World


def machines_reach_out_of_every_zone(world: World) -> None:
    subnets = world.in_vpc("subnets")
    assert {subnet["AvailabilityZone"][-1] for subnet in subnets} == set(world.zones)
    assert all(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    public = {
        association["SubnetId"]
        for table in world.in_vpc("route_tables")
        for association in table["Associations"]
        if "SubnetId" in association
        and any(
            route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("GatewayId", "").startswith("igw-")
            for route in table["Routes"]
        )
    }
    assert public == {subnet["SubnetId"] for subnet in subnets}
    networks = [IPv4Network(subnet["CidrBlock"]) for subnet in subnets]
    assert all(network.subnet_of(world.config.cidr) for network in networks)
    assert min(network.num_addresses for network in networks) >= 256


def nothing_comes_in_but_what_is_named(world: World) -> None:
    groups = {group["GroupName"]: group for group in world.in_vpc("security_groups")}
    of_server = {world.names.server} if world.config.server and world.region == world.config.region else set()
    assert set(groups) == {"default", world.outputs.security_group_name, *of_server}
    assert groups["default"]["IpPermissions"] == groups["default"]["IpPermissionsEgress"] == []
    ours = groups[world.outputs.security_group_name]
    inbound: set[tuple[Any, ...]] = set()
    for rule in ours["IpPermissions"]:
        ports = (rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"))
        inbound |= {(*ports, source["CidrIp"]) for source in rule["IpRanges"]}
        inbound |= {(*ports, source["CidrIpv6"]) for source in rule["Ipv6Ranges"]}
        inbound |= {(*ports, source["GroupId"]) for source in rule["UserIdGroupPairs"]}
    among = {("-1", None, None, ours["GroupId"])}
    own = [*world.addresses, *map(str, world.config.ssh_from)]
    ports = {
        ("tcp", port, port, str(source)) for port in world.config.service_ports for source in world.config.ssh_from
    }
    # A service's load balancer is on the server, and its replicas are machines.
    replicas = {("tcp", 8080, 8080, source) for source in world.addresses}
    assert inbound == among | {("tcp", 22, 22, source) for source in own} | ports | replicas


def s3_is_reached_for_free(world: World) -> None:
    endpoint = world.endpoint()
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert endpoint["ServiceName"] == f"com.amazonaws.{world.region}.s3"
    served = {
        association["SubnetId"]
        for table in world.in_vpc("route_tables")
        if table["RouteTableId"] in endpoint["RouteTableIds"]
        for association in table["Associations"]
        if "SubnetId" in association
    }
    assert served == {subnet["SubnetId"] for subnet in world.in_vpc("subnets")}


def writes_stay_in_the_account(world: World) -> None:
    endpoint = world.endpoint()
    policy = [endpoint["PolicyDocument"]]
    ours, theirs = {"aws:ResourceAccount": world.names.account}, {"aws:ResourceAccount": "999999999999"}
    assert allowed(policy, "s3:PutObject", "arn:aws:s3:::any/x", ours)
    assert allowed(policy, "s3:GetObject", "arn:aws:s3:::any/x", theirs)
    assert not allowed(policy, "s3:PutObject", "arn:aws:s3:::any/x", theirs)


def skypilot_finds_its_way(world: World) -> None:
    """SkyPilot's own bootstrap, on the emulated cloud: it takes our network as it is, and changes nothing in it."""
    ec2 = boto3.resource("ec2", region_name=world.region)
    given = sky_config(world.outputs)["aws"]
    before = world.in_vpc("security_groups")
    for letter in world.zones:
        subnets, vpc = sky_aws._get_subnet_and_vpc_id(
            ec2,
            security_group_ids=None,
            region=world.region,
            availability_zone=f"{world.region}{letter}",
            use_internal_ips=False,
            vpc_name=given["vpc_names"],
            subnet_names=None,
        )
        assert [subnet.availability_zone for subnet in subnets] == [f"{world.region}{letter}"]
        for efa in (False, True):
            (group,) = sky_aws._configure_security_group(ec2, vpc, given["security_group_name"], [], efa)
            assert group in [found["GroupId"] for found in before]
    assert world.in_vpc("security_groups") == before
