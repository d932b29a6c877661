"""Creation and removal of a run's role; its rights are tested in `tests/infra`."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from cortex.errors import ConfigError, RefusedError
from cortex.fleet.launch.jobs import launch_configuration
from cortex.fleet.launch.run_role import TRUST, RunRole
from cortex.settings import Settings

pytestmark = pytest.mark.integration

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}

WIDER = {"Version": "2012-10-17", "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "*"}}]}


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("iam", region_name="us-east-1")


@pytest.fixture
def role(iam: Any) -> RunRole:
    made = iam.create_policy(PolicyName="cortex-dev-run", PolicyDocument=json.dumps(POLICY))
    return RunRole("my-run", made["Policy"]["Arn"])


def test_it_is_made_once_tagged_with_its_run_and_goes_without_a_trace(iam: Any, role: RunRole) -> None:
    name = role.make()
    assert role.make() == name and name.startswith("cortex-dev-run-") and len(name) <= 64
    found = iam.get_role(RoleName=name)["Role"]
    assert found["Tags"] == [{"Key": "cortex-run", "Value": "my-run"}]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == role.policy
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert [each["RoleName"] for each in profile["Roles"]] == [name]
    assert RunRole("my-run2", role.policy).make() != name
    # The hub answers only at the second launch; from then on the role names its base, too.
    pinned = replace(role, base="open--model/0123")
    assert pinned.make() == pinned.make() == name
    tagged = {tag["Key"]: tag["Value"] for tag in iam.get_role(RoleName=name)["Role"]["Tags"]}
    assert tagged == {"cortex-run": "my-run", "cortex-base": "open--model/0123"}
    role.remove()
    role.remove()
    assert name not in [each["RoleName"] for each in iam.list_roles()["Roles"]]
    assert name not in [each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda iam, name: iam.tag_role(RoleName=name, Tags=[{"Key": "cortex-run", "Value": "another"}]),
        lambda iam, name: iam.untag_role(RoleName=name, TagKeys=["cortex-run"]),
        lambda iam, name: iam.tag_role(RoleName=name, Tags=[{"Key": "cortex-base", "Value": "another"}]),
        lambda iam, name: iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=json.dumps(POLICY)),
        lambda iam, name: iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(WIDER)),
    ],
    ids=["another run's tag", "no tag", "another base", "a further policy", "a wider trust"],
)
def test_a_role_that_somebody_changed_is_not_used(spoil: Any, iam: Any, role: RunRole) -> None:
    spoil(iam, role.make())
    with pytest.raises(RefusedError, match="is not as a launch of run my-run makes it") as refused:
        role.make()
    assert refused.value.exit_code == 77


def test_without_its_policy_there_is_no_role_and_it_is_said_in_a_line(iam: Any) -> None:
    with pytest.raises(ConfigError, match="run r gets no role of its own") as refused:
        RunRole("r", "arn:aws:iam::123456789012:policy/gone").make()
    assert refused.value.exit_code == 78 and "\n" not in str(refused.value)


@pytest.mark.parametrize("verb", ["make", "remove"])
def test_a_token_that_expired_half_way_is_to_be_renewed(
    verb: str, role: RunRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM's answer to expired credentials, while the run's role is half made, or is being removed."""
    name, iam_call = role.make(), BaseClient._make_api_call

    def expired(self: Any, operation: str, arguments: Any) -> Any:
        if operation in ("AddRoleToInstanceProfile", "DeleteRole"):
            raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "is expired"}}, operation)
        return iam_call(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", expired)
        with pytest.raises(ConfigError, match=r"run my-run .*have expired: renew them: `aws sso login`") as refused:
            getattr(role, verb)()
        assert "\n" not in str(refused.value) and "let these credentials create" not in str(refused.value)
    # With renewed credentials, both continue.
    assert role.make() == name
    role.remove()


@pytest.mark.parametrize(
    ("bucket", "policy", "has_one"),
    [
        ("s3://kit", "arn:aws:iam::123456789012:policy/cortex-dev-run", True),
        ("s3://kit", None, False),
        ("gs://kit", "arn:aws:iam::123456789012:policy/cortex-dev-run", False),
        ("az://kit", "arn:aws:iam::123456789012:policy/cortex-dev-run", False),
        ("/kit", "arn:aws:iam::123456789012:policy/cortex-dev-run", False),
    ],
)
def test_a_run_has_a_role_where_its_bucket_is_at_aws(bucket: str, policy: str | None, has_one: bool) -> None:
    settings = Settings(bucket=bucket, run_policy=policy)
    assert RunRole.of("r", settings, "m/1") == (RunRole("r", str(policy), "m/1") if has_one else None)


ON_AWS = {"name": "sft", "resources": {"infra": "aws/us-east-1"}}


@pytest.mark.parametrize("identity", [None, "cortex-dev-run-0"])
@pytest.mark.parametrize(
    ("resources", "kept"),
    [
        ([{"infra": "gcp/us-central1"}], False),
        ([{"any_of": [{"infra": "gcp"}, {"infra": "Azure"}]}, {"cloud": "GCP"}], False),
        ([{"ordered": [{"infra": "vast"}]}], False),
        ([{"infra": "gcp"}, {"infra": "aws"}], True),
        ([{"any_of": [{"infra": "gcp"}, {"infra": "*/*/us-east-1a"}]}], True),
        ([{}], True),
    ],
)
def test_machines_of_other_clouds_get_no_key_of_aws(
    identity: str | None, resources: list[dict[str, Any]], kept: bool
) -> None:
    from sky import skypilot_config
    from sky.utils.config_utils import Config

    config = {"aws": {"remote_identity": [{"*": "cortex-dev-worker"}]}}
    with (
        skypilot_config.replace_skypilot_config_in_process(Config(deepcopy(config))),
        launch_configuration(identity, [{"name": "sft", "resources": machines} for machines in resources]),
    ):
        found = skypilot_config.get_effective_workspace_region_config(
            cloud="aws", region="us-central1", keys=("remote_identity",), default_value=None
        )
    # Only NO_UPLOAD keeps the credentials file off machines of another cloud; a list of profiles does not.
    assert found == ([{"*": identity or "cortex-dev-worker"}] if kept else "NO_UPLOAD")


def test_what_is_submitted_carries_the_runs_role_and_controllers_what_they_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sky import skypilot_config
    from sky.server.requests.payloads import RequestBody
    from sky.utils import annotations, context
    from sky.utils.config_utils import Config

    monkeypatch.setattr(annotations, "is_on_api_server", False)

    @context.contextual
    def sent() -> dict[str, Any] | None:
        """The configuration that SkyPilot's client sends to its server, which keeps it with the job."""
        return RequestBody().override_skypilot_config

    controllers = {"sky-jobs-controller-*": "LOCAL_CREDENTIALS"}
    rules = [controllers, {"*": "cortex-dev-worker"}]
    config: dict[str, dict[str, Any]] = {"aws": {"vpc_names": "cortex-dev", "remote_identity": rules}}
    with skypilot_config.replace_skypilot_config_in_process(Config(deepcopy(config))):
        with launch_configuration("cortex-dev-run-0", [ON_AWS]):
            with_role = sent()
        assert sent() == config
    assert with_role
    own = with_role.pop("aws")
    assert own == {"vpc_names": "cortex-dev", "remote_identity": [controllers, {"*": "cortex-dev-run-0"}]}
    assert with_role and all(part == {"remote_identity": "NO_UPLOAD"} for part in with_role.values()), "others' keys"
