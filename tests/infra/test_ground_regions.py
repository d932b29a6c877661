"""One stack in several regions: a network in each, and one bucket, one server and one set of rights for all."""

from collections.abc import Iterator

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from cortex.errors import ConfigError, RefusedError
from infra.config import parse
from infra.cost import describe_cost, monthly_costs
from infra.names import Names
from infra.operators.launcher import launcher_policy
from infra.operators.raiser import raiser_policy
from infra.outputs import environment, sky_config
from infra.standing import require_empty
from tests.infra.checks import Check, network, server
from tests.infra.emulation.authorization import allowed
from tests.infra.samples import OUTPUTS, OWNER
from tests.infra.world import ACCOUNT, World, bring_up, emulated_cloud

GOOD = {**OWNER, "region": "us-east-1", "monthly_budget_usd": 200}
MORE = ["us-west-2", "eu-west-1"]


@pytest.fixture(scope="module")
def raised() -> Iterator[World]:
    with emulated_cloud():
        yield bring_up(more_regions=MORE)


@pytest.mark.parametrize("region", ["us-east-1", *MORE])
@pytest.mark.parametrize(
    "check",
    [
        network.machines_reach_out_of_every_zone,
        network.nothing_comes_in_but_what_is_named,
        network.s3_is_reached_for_free,
        network.writes_stay_in_the_account,
        network.skypilot_finds_its_way,
    ],
)
def test_each_region_has_a_network_that_skypilot_finds(raised: World, region: str, check: Check) -> None:
    check(raised.at(region))


def test_there_is_one_of_everything_else(raised: World) -> None:
    elsewhere = {found.type for found in raised.declared if any(f"::aws-{region}" in found.provider for region in MORE)}
    assert "aws:ec2/vpc:Vpc" in elsewhere and all(kind.startswith(("aws:ec2/", "aws:vpc/")) for kind in elsewhere)
    assert not {"aws:ec2/instance:Instance", "aws:ec2/eip:Eip"} & elsewhere
    assert raised.at("us-west-2").client("ec2").describe_addresses()["Addresses"] == []
    # In other regions, too, machines belong to the stack by their networks' tags.
    assert {"Key": "stack", "Value": "dev"} in raised.at("eu-west-1").vpc()["Tags"]


def test_the_server_starts_machines_in_its_own_networks_of_each_region(raised: World) -> None:
    policies = raised.policies(raised.names.server)
    for region in ("us-east-1", *MORE):
        there = raised.at(region)
        vpc = there.vpc()["VpcId"]
        ours, theirs = (f"arn:aws:ec2:{region}:{ACCOUNT}:vpc/{each}" for each in (vpc, "vpc-0"))
        subnet = f"arn:aws:ec2:{region}:{ACCOUNT}:subnet/subnet-1"
        assert allowed(policies, "ec2:RunInstances", subnet, {"ec2:Vpc": ours})
        assert not allowed(policies, "ec2:RunInstances", subnet, {"ec2:Vpc": theirs})
        assert allowed(policies, "ec2:RunInstances", f"arn:aws:ec2:{region}::image/ami-1")
        tags = {f"aws:ResourceTag/{name}": value for name, value in there.names.tags.items()}
        machine = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/i-1"
        assert allowed(
            policies, "ec2:TerminateInstances", machine, {**tags, f"aws:ResourceTag/{server.CLUSTER_TAG}": "x"}
        )
    assert not allowed(policies, "ec2:RunInstances", f"arn:aws:ec2:us-east-2:{ACCOUNT}:volume/v-1")


@pytest.mark.parametrize("region", ["us-east-1", *MORE])
def test_a_machine_ends_itself_wherever_it_is_and_no_other(raised: World, region: str) -> None:
    def machine(name: str, where: str = region) -> str:
        return f"arn:aws:ec2:{where}:{ACCOUNT}:instance/{name}"

    for role in (raised.run_role(), raised.names.worker):
        policies = raised.policies(role)
        itself = {"ec2:SourceInstanceARN": machine("i-1"), "ec2:InstanceID": "i-1"}
        assert allowed(policies, "ec2:TerminateInstances", machine("i-1"), itself)
        other = {"ec2:SourceInstanceARN": machine("i-2"), "ec2:InstanceID": "i-1"}
        assert not allowed(policies, "ec2:TerminateInstances", machine("i-1"), other)
        stray = {"ec2:SourceInstanceARN": machine("i-1", "us-east-2"), "ec2:InstanceID": "i-1"}
        assert not allowed(policies, "ec2:TerminateInstances", machine("i-1", "us-east-2"), stray)


def test_people_may_work_in_each_region_and_no_other() -> None:
    names = Names("dev", ACCOUNT, "us-east-1", tuple(MORE))
    for region, may in (("us-east-1", True), ("eu-west-1", True), ("us-east-2", False)):
        asked = {"aws:RequestedRegion": region}
        assert allowed([raiser_policy(names)], "ec2:CreateVpc", "*", asked) is may
        left = {"aws:ResourceTag/cortex-run": "r1"}
        machine = f"arn:aws:ec2:{region}:{ACCOUNT}:instance/i-1"
        assert allowed([launcher_policy(names)], "ec2:TerminateInstances", machine, left) is may
    assert not allowed([raiser_policy(names)], "kms:CreateKey", "*", {"aws:RequestedRegion": "eu-west-1"})


def test_the_kit_is_told_of_every_region(raised: World) -> None:
    assert environment(raised.outputs)["CORTEX_NETWORK_REGIONS"] == "us-east-1,us-west-2,eu-west-1"
    assert environment(OUTPUTS)["CORTEX_NETWORK_REGIONS"] == "us-east-1"
    # One name of a network and one of a security group, which SkyPilot looks up in each region.
    name = {"Key": "Name", "Value": sky_config(raised.outputs)["aws"]["vpc_names"]}
    assert all(name in raised.at(region).vpc()["Tags"] for region in raised.outputs.regions)


def test_a_machine_in_any_region_keeps_the_stack_up(raised: World) -> None:
    require_empty(raised.outputs)
    there = raised.at("us-west-2")
    ec2 = there.client("ec2")
    image = ec2.register_image(Name="left", RootDeviceName="/dev/sda1")["ImageId"]
    subnet = there.in_vpc("subnets")[0]["SubnetId"]
    (left,) = ec2.run_instances(ImageId=image, SubnetId=subnet, MinCount=1, MaxCount=1)["Instances"]
    with pytest.raises(RefusedError, match=r"in us-west-2 .*`aws ec2 terminate-instances --region us-west-2 --inst"):
        require_empty(raised.outputs)
    ec2.terminate_instances(InstanceIds=[left["InstanceId"]])


def test_further_regions_cost_nothing_idle_and_what_crosses_is_said() -> None:
    more = parse("dev", {**GOOD, "more_regions": MORE})
    assert monthly_costs(more) == monthly_costs(parse("dev", GOOD))
    assert "what machines in us-west-2 and eu-west-1 read from us-east-1 $0.02" in describe_cost(more)
    assert "what machines" not in describe_cost(parse("dev", GOOD))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"region": "us-mars-1"}, r"region = 'us-mars-1': AWS has no region of that name: did you mean 'us-"),
        ({"more_regions": ["us-west-9"]}, r"more_regions\.0 = 'us-west-9': AWS has no region of that name: did you"),
        ({"more_regions": ["us-west-2a"]}, r"more_regions\.0 = 'us-west-2a'"),
        ({"more_regions": ["us-west-2", "us-west-2"]}, "one stands twice; name each further region once"),
        ({"more_regions": ["us-east-1"]}, "one stands twice; name each further region once"),
        ({"more_regions": ["us-west-1", "us-west-2", "us-east-2", "eu-west-1"]}, "more_regions = .*at most 3"),
        ({"more_regions": "us-west-2"}, "more_regions = 'us-west-2'"),
        ({"regions": ["us-west-2"]}, "regions is no setting; known are .*more_regions"),
    ],
)
def test_a_wrong_region_is_named(given: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse("dev", {**GOOD, **given})
