"""Rights of people: enough for every call that raises the stack or launches on it, and no more."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

pytest.importorskip("pulumi", reason="the infra environment is not installed: images/infra/requirements.lock")

from botocore.client import BaseClient
from parliament import analyze_policy_string

from cortex.fleet.clouds.job_names import RUN_TAG
from cortex.fleet.launch.run_role import RunRole
from infra.names import Names
from infra.operators.launcher import DOCUMENT, launcher_policy
from infra.operators.raiser import raiser_policy
from infra.policies import instance_trust
from tests.infra.checks.calls import CHECKPOINT, RELEASE, refused
from tests.infra.emulation.authorization import allowed
from tests.infra.world import ACCOUNT, World, bring_up, emulated_cloud

NAMES = Names("dev", ACCOUNT, "us-east-1")
LINTER_GAPS = (
    "RESOURCE_STAR ['ec2:",
    "condition ssm:SessionDocumentAccessCheck",
    "RESOURCE_MISMATCH [{'action': 's3:AssociateAccessGrants",
    "RESOURCE_MISMATCH [{'action': 'ecr:BatchImportUpstreamImage",
    "RESOURCE_MISMATCH [{'action': 'ssm:GetParameter'",
)
"""Parliament wants names that networks lack, does not know a newer condition, minds rights of `s3:*` and `ecr:*`
that a bucket and a repository cannot give, and does not know AWS's public parameters, which no account owns."""

EC2 = f"arn:aws:ec2:us-east-1:{ACCOUNT}"
Call = tuple[str, str, dict[str, str]]
"""An action, the ARN that it is about, and the request's condition keys."""


@pytest.fixture(scope="module")
def raised() -> Iterator[tuple[World, list[Call]]]:
    """A stack, and the calls to AWS that raised it."""
    with emulated_cloud():
        with _recorded() as calls:
            world = bring_up()
        yield world, calls


def test_whoever_raises_may_make_each_resource(raised: tuple[World, list[Call]]) -> None:
    calls = raised[1]
    assert len({action for action, *_ in calls}) > 30
    policy = [raiser_policy(NAMES)]
    denied = {action for action, resource, context in calls if not allowed(policy, action, resource, context)}
    assert denied == set()


def test_whoever_raises_does_nothing_elsewhere() -> None:
    policy, iam = [raiser_policy(NAMES)], f"arn:aws:iam::{ACCOUNT}"
    here, elsewhere = {"aws:RequestedRegion": "us-east-1"}, {"aws:RequestedRegion": "eu-west-1"}
    assert allowed(policy, "ec2:CreateVpc", "*", here) and not allowed(policy, "ec2:CreateVpc", "*", elsewhere)
    for action, resource in (
        ("iam:CreateRole", f"{iam}:role/admin"),
        ("iam:CreateRole", f"{iam}:role/cortex-prod-server"),
        ("iam:PassRole", f"{iam}:role/admin"),
        ("iam:CreateUser", f"{iam}:user/x"),
        ("iam:CreateAccessKey", "*"),
        ("s3:DeleteBucket", "arn:aws:s3:::cortex-prod-artifacts-123456789012-us-east-1"),
        ("s3:GetObject", "arn:aws:s3:::somebodys/x"),
        ("ssm:GetParameter", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/secret"),
        ("ssm:StartSession", f"{EC2}:instance/i-1"),
        ("kms:CreateKey", "*"),
    ):
        assert not allowed(policy, action, resource, elsewhere), action


def test_whoever_launches_makes_a_runs_role_and_takes_it_away(raised: tuple[World, list[Call]]) -> None:
    role = RunRole("of-a-launch", raised[0].outputs.run_policy, "m/1")
    with _recorded() as calls:
        role.make()
        role.remove()
    policy, made = [launcher_policy(NAMES)], [call for call in calls if call[0].startswith("iam:")]
    assert {"iam:CreateRole", "iam:AttachRolePolicy", "iam:AddRoleToInstanceProfile"} <= {call[0] for call in made}
    assert {call[0] for call in made if not allowed(policy, *call)} == set()
    (created,) = [call for call in made if call[0] == "iam:CreateRole"]
    assert not allowed(policy, created[0], created[1]), "a role that may do anything"
    assert not allowed(policy, created[0], f"arn:aws:iam::{ACCOUNT}:role/cortex-dev-server", created[2])
    other = {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert not allowed(policy, "iam:AttachRolePolicy", created[1], other)
    assert not allowed(policy, "iam:PutRolePolicy", created[1])


def test_whoever_launches_works_in_the_stacks_buckets(raised: tuple[World, list[Call]]) -> None:
    world = raised[0]
    iam = world.client("iam")
    iam.create_role(RoleName="launcher", AssumeRolePolicyDocument=instance_trust())
    iam.put_role_policy(RoleName="launcher", PolicyName="launch", PolicyDocument=launcher_policy(NAMES))
    world.emulator.s3_bucket({"bucket": "another-bucket", "tags": {}})
    with world.acting_as("launcher") as laptop:
        s3 = laptop.client("s3")
        for bucket, key in (
            (world.artifacts, RELEASE),
            (world.artifacts, "runs/r1/lease/1"),
            (world.data, "x.parquet"),
        ):
            s3.put_object(Bucket=bucket, Key=key, Body=b"1", IfNoneMatch="*")
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"1"
        assert s3.list_objects_v2(Bucket=world.artifacts, Prefix="runs/r1/")["KeyCount"] == 2
        s3.put_object(Bucket=world.artifacts, Key=CHECKPOINT, Body=b"")
        s3.delete_object(Bucket=world.artifacts, Key=CHECKPOINT)
        refused(lambda: s3.put_object(Bucket="another-bucket", Key="x", Body=b""))
        refused(lambda: s3.put_bucket_policy(Bucket=world.artifacts, Policy="{}"))
        laptop.client("ecr").get_authorization_token()
        image = {"repositoryName": world.names.repository("sft"), "imageIds": [{"imageTag": "1"}]}
        laptop.client("ecr").batch_get_image(**image)


def test_whoever_launches_reaches_the_server_and_opens_no_shell_on_it() -> None:
    policy = [launcher_policy(NAMES)]
    server = {"ssm:resourceTag/Name": "cortex-dev-server", "ssm:SessionDocumentAccessCheck": "true"}
    machine = f"{EC2}:instance/i-1"
    assert allowed(policy, "ssm:StartSession", machine, server)
    assert allowed(policy, "ssm:StartSession", f"arn:aws:ssm:us-east-1::document/{DOCUMENT}")
    assert not allowed(policy, "ssm:StartSession", machine, {**server, "ssm:SessionDocumentAccessCheck": "false"})
    assert not allowed(policy, "ssm:StartSession", machine, {**server, "ssm:resourceTag/Name": "database"})
    for document in ("AWS-StartSSHSession", "SSM-SessionManagerRunShell", "AWS-StartPortForwardingSessionToRemoteHost"):
        assert not allowed(policy, "ssm:StartSession", f"arn:aws:ssm:us-east-1::document/{document}"), document
    assert not allowed(policy, "ssm:SendCommand", machine, server)


def test_whoever_launches_rents_nothing_and_ends_only_what_runs_left() -> None:
    policy, machine = [launcher_policy(NAMES)], f"{EC2}:instance/i-1"
    for action in ("ec2:RunInstances", "ec2:CreateVpc", "ec2:AuthorizeSecurityGroupIngress", "ec2:StopInstances"):
        assert not allowed(policy, action, "*") and not allowed(policy, action, machine), action
    assert allowed(policy, "ec2:TerminateInstances", machine, {f"aws:ResourceTag/{RUN_TAG}": "r1"})
    assert not allowed(policy, "ec2:TerminateInstances", machine, {"aws:ResourceTag/Name": "cortex-dev-server"})
    assert all(allowed(policy, action, "*") for action in ("ec2:DescribeInstances", "servicequotas:GetServiceQuota"))


@pytest.mark.parametrize("policy", [launcher_policy, raiser_policy])
def test_iam_takes_it(policy: Any) -> None:
    text = policy(Names("a-longest-stack", ACCOUNT, "ap-southeast-1"))
    assert len("".join(text.split())) <= 6144
    found = [f"{finding.issue} {finding.detail}" for finding in analyze_policy_string(text).findings]
    assert [fault for fault in found if not any(gap in fault for gap in LINTER_GAPS)] == []


def test_they_are_files_of_the_stack(tmp_path: Path) -> None:
    from infra.config import parse
    from infra.stack import Stack
    from tests.infra.samples import OWNER, shipped

    stack = object.__new__(Stack)
    stack.name, stack.config = "dev", parse("dev", {**shipped("dev"), **OWNER})
    written = stack.write_policies(tmp_path / "policies")
    assert [path.name for path in written] == ["cortex-dev-raise.json", "cortex-dev-launch.json"]
    assert json.loads(written[1].read_text()) == json.loads(launcher_policy(NAMES))


@contextmanager
def _recorded() -> Iterator[list[Call]]:
    """All calls to AWS that are made within the block."""
    calls: list[Call] = []
    call = BaseClient._make_api_call

    def record(self: Any, operation: str, arguments: dict[str, Any]) -> Any:
        calls.append(_as_asked(self.meta.service_model.signing_name, operation, arguments))
        return call(self, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", record):
        yield calls


RENAMED = {"budgets:CreateBudget": "budgets:ModifyBudget"}
"""Calls whose right has a name of its own."""


def _as_asked(service: str, operation: str, given: dict[str, Any]) -> Call:
    """A call in IAM's terms."""
    context = {"aws:RequestedRegion": "us-east-1"}
    for argument, key in (("PermissionsBoundary", "iam:PermissionsBoundary"), ("PolicyArn", "iam:PolicyARN")):
        if argument in given:
            context[key] = given[argument]
    action = RENAMED.get(f"{service}:{operation}", f"{service}:{operation}")
    return action, _arn(service, operation, given), context


def _arn(service: str, operation: str, given: dict[str, Any]) -> str:
    iam, here = f"arn:aws:iam::{ACCOUNT}", f"us-east-1:{ACCOUNT}"
    kinds = {"InstanceProfileName": "instance-profile", "RoleName": "role", "PolicyName": "policy"}
    of_iam = next((f"{iam}:{kind}/{given[name]}" for name, kind in kinds.items() if name in given), "*")
    arns: dict[str, str] = {
        "iam": of_iam,
        "s3": f"arn:aws:s3:::{given.get('Bucket')}" + (f"/{given['Key']}" if "Key" in given else ""),
        "ecr": f"arn:aws:ecr:{here}:repository/{given['repositoryName']}" if "repositoryName" in given else "*",
        "kms": "*" if operation == "CreateKey" else f"arn:aws:kms:{here}:key/x",
        "budgets": f"arn:aws:budgets::{ACCOUNT}:budget/{given.get('Budget', {}).get('BudgetName')}",
        "ssm": f"arn:aws:ssm:us-east-1::parameter{given.get('Name')}",
    }
    return arns.get(service, "*")
