"""SkyPilot's server: closed, able to do all that SkyPilot asks of AWS, and nothing beyond."""

import base64
import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import yaml
from botocore.client import BaseClient
from sky.provision import common
from sky.provision.aws import config as sky_aws
from sky.provision.aws import instance as sky_instance
from sky.utils import common_utils, schemas

from cortex.fleet.launch.run_role import RunRole
from cortex.verbs import watching
from infra.outputs import server_config
from infra.server.machine import REPLICAS
from infra.server.policy import CLUSTER_TAG, SESSIONS
from tests.infra.checks.calls import CHECKPOINT, RELEASE, RUN, refused
from tests.infra.emulation.authorization import allowed
from tests.infra.world import World


def server_has_no_open_door(world: World) -> None:
    machine = the_machine(world)
    (card,) = machine["NetworkInterfaces"]
    (group,) = world.client("ec2").describe_security_groups(GroupIds=[each["GroupId"] for each in card["Groups"]])[
        "SecurityGroups"
    ]
    assert group["IpPermissions"] == [], "nothing comes in"
    assert group["IpPermissionsEgress"], "it reaches AWS, packages and machines"
    assert machine["VpcId"] == world.vpc()["VpcId"]
    assert "KeyName" not in machine, "nobody logs in with a key"


def server_comes_from_an_address_that_stays(world: World) -> None:
    (address,) = world.client("ec2").describe_addresses()["Addresses"]
    (card,) = the_machine(world)["NetworkInterfaces"]
    assert address["NetworkInterfaceId"] == card["NetworkInterfaceId"]


def server_keeps_its_disk_and_role_to_itself(world: World) -> None:
    (declared,) = world.of_type("Instance")
    assert declared.inputs["root_block_device"]["encrypted"] is True
    assert declared.inputs["metadata_options"]["http_tokens"] == "required"
    assert declared.inputs["metadata_options"]["http_put_response_hop_limit"] == 1
    assert declared.inputs.get("credit_specification") == {"cpu_credits": "standard"}, "bursts are not billed"
    (statement,) = world.client("iam").get_role(RoleName=world.names.server)["Role"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
    assert the_machine(world)["IamInstanceProfile"]["Arn"].endswith(f"/{world.names.server}")


def server_can_do_what_skypilot_asks(world: World) -> None:
    """SkyPilot's own provisioner starts and ends a machine with the server's configuration; each call is allowed."""
    policies = world.policies(world.names.server)
    image = world.client("ec2").register_image(Name="worker", RootDeviceName="/dev/sda1")["ImageId"]
    with _recorded() as calls:
        _start_and_end(world, image)
    assert {"ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances"} <= calls
    ours = {f"aws:ResourceTag/{name}": value for name, value in world.names.tags.items()}
    on_machine = {**ours, f"aws:ResourceTag/{CLUSTER_TAG}": "cortex-r1-ab12"}
    for action in calls - {"ec2:RunInstances"}:
        assert allowed(policies, action, "*") or allowed(policies, action, _arn(world, "instance"), on_machine), action
    for kind in ("instance", "subnet", "security-group", "network-interface", "volume", "spot-instances-request"):
        assert allowed(policies, "ec2:RunInstances", _arn(world, kind), _request(world)), kind
    assert allowed(policies, "ec2:RunInstances", f"arn:aws:ec2:{world.names.region}::image/ami-1", _request(world))
    at_birth = {"ec2:CreateAction": "RunInstances"}
    assert all(allowed(policies, "ec2:CreateTags", _arn(world, kind), at_birth) for kind in ("instance", "volume"))
    for role in (world.names.worker, RunRole("r1", world.outputs.run_policy).name):
        given = {"iam:PassedToService": "ec2.amazonaws.com"}
        assert allowed(policies, "iam:PassRole", f"arn:aws:iam::{world.names.account}:role/{role}", given), role
        profile = f"arn:aws:iam::{world.names.account}:instance-profile/{role}"
        assert allowed(policies, "iam:GetInstanceProfile", profile), role
    spot = f"arn:aws:iam::{world.names.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    assert allowed(policies, "iam:CreateServiceLinkedRole", spot, {"iam:AWSServiceName": "spot.amazonaws.com"})
    assert all(allowed(policies, action, "*") for action in SESSIONS)


def server_is_confined(world: World) -> None:
    policies = world.policies(world.names.server)
    ours = {f"aws:ResourceTag/{name}": value for name, value in world.names.tags.items()}
    machine = _arn(world, "instance")
    for tags in ({}, ours, {**ours, "aws:ResourceTag/stack": "other", f"aws:ResourceTag/{CLUSTER_TAG}": "x"}):
        for action in ("ec2:TerminateInstances", "ec2:StopInstances", "ec2:CreateTags"):
            assert not allowed(policies, action, machine, tags), (action, tags)
    untagged = {key: value for key, value in _request(world).items() if not key.startswith("aws:RequestTag/")}
    assert not allowed(policies, "ec2:RunInstances", machine, untagged), "what it could not end it does not start"
    elsewhere = {**_request(world), "ec2:Vpc": f"arn:aws:ec2:{world.names.region}:{world.names.account}:vpc/vpc-0"}
    for kind in ("subnet", "security-group", "network-interface"):
        assert not allowed(policies, "ec2:RunInstances", _arn(world, kind), elsewhere), kind
    for role in (world.names.server, "admin", f"{world.names.worker}-2"):
        given = {"iam:PassedToService": "ec2.amazonaws.com"}
        assert not allowed(policies, "iam:PassRole", f"arn:aws:iam::{world.names.account}:role/{role}", given), role
    other = {"iam:PassedToService": "lambda.amazonaws.com"}
    worker = f"arn:aws:iam::{world.names.account}:role/{world.names.worker}"
    assert not allowed(policies, "iam:PassRole", worker, other)
    for action in ("iam:CreateRole", "iam:AttachRolePolicy", "sts:AssumeRole", "ssm:GetParameter", "ssm:SendCommand"):
        assert not allowed(policies, action, "*") and not allowed(policies, action, worker), action


def server_ends_runs_and_spoils_none(world: World) -> None:
    s3 = world.client("s3")
    s3.put_object(Bucket=world.artifacts, Key=RELEASE, Body=b"weights")
    with world.acting_as(world.names.server) as server:
        own = server.client("s3")
        assert own.get_object(Bucket=world.artifacts, Key=RELEASE)["Body"].read() == b"weights"
        for folder in ("ledger/00000002-watch.jsonl", "lease/00000002"):
            own.put_object(Bucket=world.artifacts, Key=f"{RUN}/{folder}", Body=b"", IfNoneMatch="*")
        for key in (CHECKPOINT, RELEASE, f"{RUN}/profile.json", "bases/m/1/x"):
            refused(lambda: own.put_object(Bucket=world.artifacts, Key=key, Body=b"", IfNoneMatch="*"))  # noqa: B023
            refused(lambda: own.delete_object(Bucket=world.artifacts, Key=key))  # noqa: B023 - called at once
        refused(lambda: own.put_object(Bucket=world.data, Key="server/x", Body=b""))


def server_sets_itself_up_from_what_is_in_the_bucket(world: World) -> None:
    script = user_data_of(world)
    assert len(script.encode()) <= 16 * 1024
    found = re.search(r"s3://([a-z0-9-]+)/(server/([0-9a-f]{64})\.tar\.gz)", script)
    assert found and found[1] == world.data
    with world.acting_as(world.names.server) as server:
        packed = server.client("s3").get_object(Bucket=found[1], Key=found[2])["Body"].read()
    assert f"{found[3]}  /run/cortex.tar.gz" in script
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        names = set(tar.getnames())
        unit, watcher = (
            tar.extractfile(f"infra/server/cortex-{name}.service").read().decode()  # type: ignore[union-attr]
            for name in ("skypilot", "watch")
        )
    assert "sky api start --foreground --host 127.0.0.1\n" in unit
    verb = re.search(r"^ExecStart=/opt/cortex/\.venv/bin/cortex (\w+)$", watcher, re.MULTILINE)
    assert verb and verb[1] in {
        command.name or getattr(command.callback, "__name__", "") for command in watching.app.registered_commands
    }
    assert {"cortex/__main__.py", "images/control/requirements.lock", "infra/server/setup.sh"} <= names
    assert not [name for name in names if name.endswith((".env", ".pyc")) or ".cortex" in name]


def server_is_configured_as_skypilot_wants(world: World) -> None:
    files = {name: base64.b64decode(text).decode() for text, name in _files(user_data_of(world))}
    config = yaml.safe_load(files["sky.yaml"])
    common_utils.validate_schema(config, schemas.get_config_schema(), "the configuration is not SkyPilot's: ")
    assert config == server_config(world.names, world.outputs.security_group_name)
    assert config["jobs"]["controller"]["consolidation_mode"] is True
    assert "LOCAL_CREDENTIALS" not in files["sky.yaml"], "no machine gets the server's rights"
    variables = dict(line.split("=", 1) for line in files["environment"].splitlines())
    assert variables["CORTEX_BUCKET"] == f"s3://{world.artifacts}"
    assert variables["AWS_REGION"] == world.names.region


def the_machine(world: World) -> dict[str, Any]:
    """The server, as the emulated EC2 describes it."""
    assert world.outputs.server
    found = world.client("ec2").describe_instances(InstanceIds=[world.outputs.server.instance])
    return found["Reservations"][0]["Instances"][0]


def user_data_of(world: World) -> str:
    """The server's user data, which it runs on its first start."""
    machine = the_machine(world)["InstanceId"]
    found = world.client("ec2").describe_instance_attribute(InstanceId=machine, Attribute="userData")
    return base64.b64decode(found["UserData"]["Value"]).decode()


def _files(script: str) -> list[tuple[str, str]]:
    found = re.findall(r"base64 --decode > /etc/cortex/(\S+) <<< (\S+)", script)
    return [(text, name) for name, text in found]


def _arn(world: World, kind: str) -> str:
    return f"arn:aws:ec2:{world.names.region}:{world.names.account}:{kind}/x-1"


def _request(world: World) -> dict[str, str]:
    """Condition keys of a launch by SkyPilot in the stack's network."""
    tags = server_config(world.names, world.outputs.security_group_name)["aws"]["labels"]
    vpc = f"arn:aws:ec2:{world.names.region}:{world.names.account}:vpc/{world.vpc()['VpcId']}"
    return {"ec2:Vpc": vpc, **{f"aws:RequestTag/{name}": value for name, value in tags.items()}}


@contextmanager
def _recorded() -> Iterator[set[str]]:
    """The actions of all calls to AWS that are made within the block."""
    calls: set[str] = set()
    call = BaseClient._make_api_call

    def record(self: Any, operation: str, arguments: Any) -> Any:
        calls.add(f"{self.meta.service_model.signing_name}:{operation}")
        return call(self, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", record):
        yield calls


def _start_and_end(world: World, image: str) -> None:
    """Start and end a machine as SkyPilot's template for AWS does, with the server's configuration."""
    given, region, name = (
        server_config(world.names, world.outputs.security_group_name)["aws"],
        world.names.region,
        "c-1",
    )
    provider = {
        "region": region,
        "availability_zone": world.names.zone(world.zones[0]),
        "use_internal_ips": False,
        "vpc_name": given["vpc_names"],
        "security_group": {"GroupName": given["security_group_name"], "ManagedBySkyPilot": False},
    }
    config = common.ProvisionConfig(
        provider_config=provider,
        authentication_config={},
        docker_config={},
        node_config={
            "ImageId": image,
            "InstanceType": "m5.large",
            "IamInstanceProfile": {"Name": world.names.worker},
            "InstanceMarketOptions": {"MarketType": "spot"},
        },
        count=1,
        tags={**given["labels"], CLUSTER_TAG: name, "ray-cluster-name": name},
        resume_stopped_nodes=True,
        ports_to_open_on_launch=None,
    )
    sky_instance.run_instances(region, name, name, sky_aws.bootstrap_instances(region, name, config))
    # A service's replica: SkyPilot opens its port itself, unless a rule has it.
    sky_instance.open_ports(name, [str(REPLICAS)], provider)
    sky_instance.terminate_instances(name, provider)
