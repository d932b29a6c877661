"""A stack's settings: both shipped stacks work once their owner's values are in; mistakes are one line with the fix."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.errors import ConfigError
from cortex.settings import CHECKOUT
from infra.config import ServerConfig, StackConfig, parse, read
from infra.cost import describe_cost, monthly_costs
from infra.names import Names
from tests.infra.samples import OWNER, shipped

INFRA = CHECKOUT / "infra"
GOOD: dict[str, Any] = {**OWNER, "region": "us-east-1", "zones": ["a", "b"], "monthly_budget_usd": 200}
GOOGLE: dict[str, Any] = {"project": "cortex-lab", "regions": ["us-central1"]}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_shipped_stack_wants_only_its_owners_values(stack: str) -> None:
    with pytest.raises(ConfigError, match=rf"account is missing; .*set --stack {stack} --path 'cortex:ground.account'"):
        read(INFRA, stack)
    assert parse(stack, {**shipped(stack), **OWNER}).stack == stack


def test_the_commands_in_the_guide_set_what_is_missing() -> None:
    guide = (CHECKOUT / "docs/ground.md").read_text()
    named = re.findall(r"pulumi config set --stack dev --path 'cortex:ground\.(\w+)(\[0\])?'", guide)
    known = StackConfig.model_fields
    assert {field: bool(place) for field, place in named if known[field].is_required()} == {
        field: isinstance(value, list) for field, value in OWNER.items()
    }


def test_production_keeps_its_data_and_development_does_not() -> None:
    assert parse("prod", {**shipped("prod"), **OWNER}).protect_data
    assert not parse("dev", {**shipped("dev"), **OWNER}).protect_data


def test_two_stacks_share_no_name_and_no_network() -> None:
    dev, prod = (parse(stack, {**shipped(stack), **OWNER}) for stack in ("dev", "prod"))
    ours, theirs = Names.of(dev), Names.of(prod)
    assert ours.bucket("data") != theirs.bucket("data") and ours.worker != theirs.worker
    assert ours.repository("sft") != theirs.repository("sft")
    assert not dev.cidr.overlaps(prod.cidr)


LABELS = st.from_regex(r"[a-z][a-z0-9]{0,4}(-[a-z0-9]{1,4}){0,3}", fullmatch=True).filter(lambda text: len(text) > 1)


@given(stack=LABELS.map(lambda text: text[:15].rstrip("-")).filter(lambda text: len(text) > 1), image=LABELS)
def test_every_name_is_one_that_the_services_take(stack: str, image: str) -> None:
    config = parse(stack, {**GOOD, "region": "ap-southeast-1", "images": [image]})
    names = Names.of(config)
    for bucket in (names.bucket("artifacts"), names.bucket("data")):
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", names.gcp_bucket("p" * 30))
    assert re.fullmatch(r"[a-zA-Z0-9_.]{3,64}", names.gcp_role)
    part = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
    assert re.fullmatch(rf"{part}/{part}", names.repository(image)) and len(names.repository(image)) <= 256
    assert len(names.worker) <= 64 and re.fullmatch(r"[\w+=,.@-]+", names.worker)


def test_an_account_that_yaml_reads_as_a_number_is_taken() -> None:
    assert parse("dev", {**GOOD, "account": 12345678901}).account == "012345678901"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acount": "1"}, "acount is no setting; known are stack, account"),
        ({"account": "12345"}, "account = '12345'"),
        ({"ssh_from": ["0.0.0.0/0"]}, "ssh_from: 0.0.0.0/0 is 4294967296 addresses"),
        ({"server": False}, "ssh_from is missing, and without a server SkyPilot reaches machines from this machine's"),
        ({"server": None, "ssh_from": []}, "--path 'cortex:ground.ssh_from[0]'"),
        ({"server": {"machine": "t4g.large"}}, "t4g.large has an ARM processor"),
        ({"server": {"machine": "c7gn.xlarge"}}, "c7gn.xlarge has an ARM processor"),
        ({"server": {"machine": "large"}}, "server.machine = 'large'"),
        ({"server": {"port": 46580}}, "port: 46580 is where SkyPilot expects a server of the laptop's own"),
        ({"server": {"port": 22}}, "server.port = 22"),
        ({"server": {"disk_gb": 1}}, "server.disk_gb = 1"),
        ({"server": {"size": 1}}, "server.size is no setting"),
        ({"server": "yes"}, "server"),
        ({"service_ports": [8000]}, "service_ports are opened to ssh_from, which is missing"),
        ({"service_ports": [0]}, "service_ports.0 = 0"),
        ({"zones": ["a"]}, "zones"),
        ({"zones": ["a", "a"]}, "zones: a letter stands twice"),
        ({"zones": ["us-east-1a", "b"]}, "zones.0 = 'us-east-1a'"),
        ({"cidr": "8.8.0.0/16"}, "cidr: 8.8.0.0/16 is no private network"),
        ({"cidr": "10.0.0.0/24"}, "cidr: 10.0.0.0/24"),
        ({"cidr": "10.0.0.0/8"}, "from /16 to /20"),
        ({"monthly_budget_usd": -5}, "monthly_budget_usd = -5"),
        ({"alert_emails": ["nobody"]}, "alert_emails.0 = 'nobody'"),
        ({"region": "mars"}, "region = 'mars'"),
        ({"images": ["a--b"]}, "images.0 = 'a--b'"),
        ({"images": ["Bad Name"]}, "images.0 = 'Bad Name'"),
        ({"gcp": {"project": "cortex-lab"}}, "gcp.regions is missing"),
        ({"gcp": {**GOOGLE, "regions": []}}, "gcp.regions = []"),
        ({"gcp": {**GOOGLE, "regions": ["us-central1-a"]}}, "gcp.regions.0 = 'us-central1-a'"),
        ({"gcp": {**GOOGLE, "regions": ["us-central1"] * 2}}, "regions: one stands twice"),
        ({"gcp": {**GOOGLE, "project": "p1"}}, "gcp.project = 'p1'"),
        ({"gcp": {**GOOGLE, "project": "123456789012"}}, "gcp.project = '123456789012'"),
        ({"gcp": {**GOOGLE, "location": "europe-west4"}}, "location: europe-west4 is none of regions (us-central1)"),
        ({"gcp": {**GOOGLE, "location": "us-central1-a"}}, "gcp.location = 'us-central1-a'"),
        ({"gcp": {**GOOGLE, "soft_delete_days": 3}}, "soft_delete_days: Google keeps what was deleted for 7 days"),
        ({"gcp": {**GOOGLE, "soft_delete_days": 91}}, "gcp.soft_delete_days = 91"),
        ({"gcs": {"project": "cortex-lab", "location": "US"}}, "gcs is no setting"),
        ({"checkpoint_days": 0}, "checkpoint_days = 0"),
    ],
)
def test_a_bad_setting_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse("dev", {**GOOD, **change})
    assert message in str(error.value) and str(error.value).startswith("Pulumi.dev.yaml: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("machine", ["t3.medium", "m7i-flex.large", "g5.xlarge", "m6a.large", "u-3tb1.56xlarge"])
def test_a_server_of_an_x86_type_is_taken(machine: str) -> None:
    server = parse("dev", {**GOOD, "server": {"machine": machine}}).server
    assert server and server.machine == machine


def test_a_server_is_the_default_and_can_be_done_without() -> None:
    for value in ({}, {"server": True}, {"server": {}}):
        assert parse("dev", {**GOOD, **value}).server == ServerConfig()
    for value in (False, None):
        assert parse("dev", {**GOOD, "ssh_from": ["198.51.100.7/32"], "server": value}).server is None


def test_shipped_stacks_servers_are_at_ports_of_their_own() -> None:
    dev, prod = (parse(stack, {**shipped(stack), **OWNER}) for stack in ("dev", "prod"))
    assert dev.server and prod.server and dev.server.port != prod.server.port


def test_what_an_idle_stack_costs_is_said_beforehand() -> None:
    config = parse("dev", GOOD)
    costs = monthly_costs(config)
    assert costs["SkyPilot's server, t3.large"] == pytest.approx(60.74, abs=0.01)
    assert "a month" in describe_cost(
        config
    ) and f"${sum(value or 0 for value in costs.values()):.2f}" in describe_cost(config)
    unknown = parse("dev", {**GOOD, "server": {"machine": "x2idn.metal"}})
    assert monthly_costs(unknown)["SkyPilot's server, x2idn.metal"] is None
    assert "costs at least $" in describe_cost(unknown) and "x2idn.metal: see aws.amazon.com" in describe_cost(unknown)
    without = parse("dev", {**GOOD, "ssh_from": ["198.51.100.7/32"], "server": False})
    assert monthly_costs(without) == {"key": 1.0}


def test_what_is_kept_at_google_is_said_and_that_nothing_else_costs() -> None:
    assert "Google" not in describe_cost(parse("dev", GOOD))
    config = parse("dev", {**GOOD, "gcp": GOOGLE})
    assert monthly_costs(config) == monthly_costs(parse("dev", GOOD)) and "pruned for 10 days more" in describe_cost(
        config
    )
    assert "for 3 days more" in describe_cost(parse("dev", {**GOOD, "gcp": {**GOOGLE, "soft_delete_days": 0}}))


@pytest.mark.parametrize(
    ("location", "home"), [("", "us-central1"), ("US", "US"), ("nam4", "nam4"), ("us-CENTRAL1", "us-CENTRAL1")]
)
def test_the_bucket_at_google_is_where_machines_are(location: str, home: str) -> None:
    gcp = parse("dev", {**GOOD, "gcp": {**GOOGLE, "location": location}}).gcp
    assert gcp and gcp.home == home


def test_a_stacks_name_must_leave_room_in_the_buckets() -> None:
    with pytest.raises(ConfigError, match=r"stack = 'a-stack-of-long-name': .*at most 15"):
        parse("a-stack-of-long-name", GOOD)


def test_a_stack_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(ConfigError, match="stacks are dev, prod"):
        read(INFRA, "staging")


def test_a_file_without_our_section_is_refused(tmp_path: Path) -> None:
    for text in ("config: {aws:region: us-east-1}", "config:", "", "[]"):
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        with pytest.raises(ConfigError, match="has no cortex:ground"):
            read(tmp_path, "dev")
