"""Mistakes about the network."""

from tests.infra.checks import network
from tests.infra.mistakes.edits import forget, put, without_statement
from tests.infra.mistakes.mistake import Mistake

INBOUND = "SecurityGroupIngressRule"

MISTAKES = (
    Mistake(
        "SSH open to the world",
        INBOUND,
        put(cidr_ipv4="0.0.0.0/0"),
        network.nothing_comes_in_but_what_is_named,
        "network-ssh-198.51.100.7/32",
    ),
    Mistake(
        "open port",
        INBOUND,
        put(to_port=8000),
        network.nothing_comes_in_but_what_is_named,
        "network-ssh-198.51.100.7/32",
    ),
    Mistake("default group left open", "DefaultSecurityGroup", forget, network.nothing_comes_in_but_what_is_named),
    Mistake(
        "EFA has no way out",
        "SecurityGroupEgressRule",
        forget,
        network.skypilot_finds_its_way,
        "network-among-themselves",
    ),
    Mistake("no inbound rule at all", INBOUND, forget, network.skypilot_finds_its_way),
    Mistake(
        "a service open to the world",
        INBOUND,
        put(cidr_ipv4="0.0.0.0/0"),
        network.nothing_comes_in_but_what_is_named,
        "network-port-8080-198.51.100.7/32",
    ),
    Mistake("network without its name", "Vpc", put(tags={}), network.skypilot_finds_its_way),
    Mistake("missing endpoint", "VpcEndpoint", forget, network.s3_is_reached_for_free),
    Mistake("endpoint that costs", "VpcEndpoint", put(vpc_endpoint_type="Interface"), network.s3_is_reached_for_free),
    Mistake("endpoint on no route", "VpcEndpoint", put(route_table_ids=[]), network.s3_is_reached_for_free),
    Mistake(
        "data leaves through the endpoint",
        "VpcEndpoint",
        without_statement("NoWritesElsewhere"),
        network.writes_stay_in_the_account,
    ),
    Mistake("no way out", "Route", forget, network.machines_reach_out_of_every_zone),
    Mistake(
        "no public address", "Subnet", put(map_public_ip_on_launch=False), network.machines_reach_out_of_every_zone
    ),
    Mistake("all in one zone", "Subnet", put(availability_zone="us-east-1a"), network.machines_reach_out_of_every_zone),
    Mistake(
        "a zone without routes",
        "RouteTableAssociation",
        forget,
        network.machines_reach_out_of_every_zone,
        "network-us-east-1b",
    ),
)
