"""Effects of a stack's settings on its resources."""

import json

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from parliament import analyze_policy_string

from cortex.errors import ConfigError
from infra.config import MOST_REGIONS, RENEW, StackConfig
from infra.names import Names
from infra.operators.launcher import launcher_policy
from infra.operators.raiser import raiser_policy
from infra.outputs import sky_config
from tests.infra.checks import google, network
from tests.infra.checks.estate import images_are_fixed_and_scanned
from tests.infra.samples import shipped
from tests.infra.world import ACCOUNT, World, bring_up, emulated_cloud


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_shipped_stack_comes_up(stack: str) -> None:
    with emulated_cloud():
        world = bring_up(stack, images=StackConfig.model_fields["images"].default, **shipped(stack))
        network.machines_reach_out_of_every_zone(world)
        network.skypilot_finds_its_way(world)
        images_are_fixed_and_scanned(world)
    assert set(world.outputs.repositories) == {"data", "sft", "grpo", "quantize", "serve", "tinker"}
    assert world.protected["aws:s3/bucket:Bucket", "artifacts"] is (stack == "prod")


def test_a_development_stack_goes_with_all_it_holds() -> None:
    with emulated_cloud():
        world = bring_up(protect_data=False)
    assert not any(world.protected.values())
    for kind, field in (("bucket:Bucket", "force_destroy"), ("ecr/repository:Repository", "force_delete")):
        found = [resource for resource in world.declared if resource.type.endswith(kind)]
        assert found and all(resource.inputs[field] for resource in found)


def test_without_a_project_nothing_stands_at_google() -> None:
    with emulated_cloud():
        world = bring_up(gcp=None)
    assert world.outputs.gcp is None and "gcp" not in sky_config(world.outputs)
    assert not any("gcp" in resource.type for resource in world.declared)


def test_adding_a_region_of_google_moves_no_other() -> None:
    def places(*regions: str) -> dict[str, str]:
        with emulated_cloud():
            world = bring_up(gcp={"project": "cortex-lab", "regions": list(regions)})
        return {found.inputs["region"]: found.inputs["ip_cidr_range"] for found in world.of_type("Subnetwork")}

    before, after = places("us-central1"), places("us-central1", "us-east4")
    assert before.items() <= after.items() and len(set(after.values())) == 2


def test_without_a_server_ssh_at_google_is_the_laptops() -> None:
    with emulated_cloud():
        world = bring_up(server=False, service_ports=[])
        google.google_lets_nothing_in_but_what_is_named(world)
        google.skypilot_finds_its_way_at_google(world)
    assert {found.name for found in world.of_type("Firewall")} == {
        "gcp-network-among-themselves",
        "gcp-network-ssh-198-51-100-7-32",
    }


def test_without_a_choice_the_network_is_in_every_zone_of_the_region() -> None:
    with emulated_cloud():
        world = bring_up(zones=None)
        found = {subnet["AvailabilityZone"] for subnet in world.in_vpc("subnets")}
        there = world.client("ec2").describe_availability_zones()["AvailabilityZones"]
    assert found == {zone["ZoneName"] for zone in there} and len(found) == 6


def test_adding_a_zone_moves_no_other() -> None:
    def places(*zones: str) -> dict[str, str]:
        with emulated_cloud():
            world = bring_up(zones=list(zones))
            return {found["AvailabilityZone"]: found["CidrBlock"] for found in world.in_vpc("subnets")}

    before, after = places("b", "c"), places("a", "b", "c", "d")
    assert before.items() <= after.items() and len(set(after.values())) == 4


def test_without_a_server_nothing_of_it_is_there_and_ssh_is_the_laptops() -> None:
    with emulated_cloud():
        world = bring_up(server=False)
        network.nothing_comes_in_but_what_is_named(world)
        assert world.client("ec2").describe_instances()["Reservations"] == []
        assert world.client("ec2").describe_addresses()["Addresses"] == []
    assert world.outputs.server is None


def test_with_a_server_no_address_of_a_laptop_is_let_in() -> None:
    with emulated_cloud():
        world = bring_up(ssh_from=[], service_ports=[])
        network.nothing_comes_in_but_what_is_named(world)
        network.skypilot_finds_its_way(world)


def test_a_server_goes_where_its_kind_of_machine_is() -> None:
    refusal = r"no zone of us-east-1a, us-east-1b has a x9\.large: name another"
    with emulated_cloud(), pytest.raises(ConfigError, match=refusal):
        bring_up(zones=["a", "b"], server={"machine": "x9.large"})


@pytest.mark.parametrize(("renewed", "kept"), [("", ["ami", "userData"]), ("1", [])])
def test_only_when_asked_to_is_a_server_made_anew(
    monkeypatch: pytest.MonkeyPatch, renewed: str, kept: list[str]
) -> None:
    monkeypatch.setenv(RENEW, renewed)
    with emulated_cloud():
        world = bring_up()
    assert world.unchanged["aws:ec2/instance:Instance", "server"] == kept


def test_a_further_region_changes_nothing_of_the_first() -> None:
    with emulated_cloud():
        before = bring_up()
    with emulated_cloud():
        after = bring_up(more_regions=["us-west-2"])

    def parts(world: World) -> dict[tuple[str, str], str]:
        rest = [found for found in world.declared if "us-west-2" not in found.name]
        return {
            (found.type, found.name): json.dumps(found.inputs.get("cidr_block"))
            for found in rest
            if found.type.startswith(("aws:ec2", "aws:vpc"))
        }

    assert parts(before) == parts(after)


def test_iam_takes_the_rights_of_the_most_regions() -> None:
    most = ("ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2")
    assert len(most) == MOST_REGIONS
    names = Names("a-longest-stack", ACCOUNT, most[0], most[1:])
    for policy in (raiser_policy, launcher_policy):
        assert len("".join(policy(names).split())) <= 6144
    with emulated_cloud():
        world = bring_up("a-longest-stack", region=most[0], more_regions=list(most[1:]), zones=None, gcp=None)
        for role, limit in ((world.run_role(), 6144), (world.names.worker, 10240), (world.names.server, 10240)):
            for text in world.policies(role):
                assert len("".join(text.split())) <= limit, role
                # The linter knows lists of values in a condition.
                assert not [found for found in analyze_policy_string(text).findings if found.issue == "MALFORMED"]
