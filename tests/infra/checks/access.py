"""The worker's role: enough to work with, and nothing else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from parliament import analyze_policy_string

from cortex.artifacts.file_names import CHECKPOINT_TAG
from infra.names import BASE_TAG, RUN_TAG
from infra.policies import API_KEYS
from infra.server.policy import LOOKS, SESSIONS
from tests.infra.checks.calls import CHECKPOINT, RELEASE, RUN, refused
from tests.infra.emulation.authorization import allowed
from tests.infra.world import OTHERS, Worker, World

LINTER_GAPS = (
    "s3:TlsVersion",
    "RESOURCE_STAR",
    "s3:if-none-match",
    "s3:ObjectCreationOperation",
    "SourceInstanceARN",
    "'action': 'ec2:RunInstances'",
)
"""Parliament takes whole numbers only where S3 wants 1.2, has no kind of policy whose resource is rightly `*`, and does
not know that each request of a machine's role carries the machine's ARN, nor that the kinds of resource which a
machine is started with may stand in several statements, each with conditions of its own."""


EVERYWHERE = {
    *SESSIONS,
    *LOOKS,
    "ecr:GetAuthorizationToken",
}
"""Actions that AWS lets nobody confine to a resource."""


def worker_can_work(world: World) -> None:
    owner = world.client("s3")
    owner.put_object(Bucket=world.data, Key="prices.parquet", Body=b"prices")
    with world.as_run() as worker:
        s3 = worker.client("s3")
        assert s3.get_object(Bucket=world.data, Key="prices.parquet")["Body"].read() == b"prices"
        s3.put_object(Bucket=world.artifacts, Key=CHECKPOINT, Body=b"weights", Tagging="=".join(CHECKPOINT_TAG))
        assert s3.get_object(Bucket=world.artifacts, Key=CHECKPOINT)["Body"].read() == b"weights"
        s3.put_object(Bucket=world.artifacts, Key=RELEASE, Body=b"weights")
        listed = s3.list_objects_v2(Bucket=world.artifacts, Prefix=f"{RUN}/sft/")["Contents"]
        assert [entry["Key"] for entry in listed] == [CHECKPOINT]
        s3.delete_object(Bucket=world.artifacts, Key=CHECKPOINT)
        worker.client("ecr").get_authorization_token()
        image = [{"imageTag": "1"}]
        worker.client("ecr").batch_get_image(repositoryName=world.names.repository("sft"), imageIds=image)
        assert worker.client("ec2").describe_instances()["ResponseMetadata"]["HTTPStatusCode"] == 200
    for action in ("ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"):
        assert allowed(world.policies(world.run_role()), action, "*"), action
    assert _ends(world, "i-1", "i-1"), "an idle machine goes by itself"
    policies, through = world.policies(world.run_role()), {"kms:ViaService": f"s3.{world.names.region}.amazonaws.com"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert allowed(policies, action, world.key, through), action


def worker_is_confined(world: World) -> None:
    owner = world.client("s3")
    world.emulator.s3_bucket({"bucket": "another-bucket", "tags": {}})
    for bucket, key in (("another-bucket", "runs/x"), (world.artifacts, "private/x"), (world.artifacts, RELEASE)):
        owner.put_object(Bucket=bucket, Key=key, Body=b"x")
    world.client("ecr").create_repository(repositoryName=f"{OTHERS}image")
    secret = world.client("secretsmanager").create_secret(Name=f"{OTHERS}secret", SecretString="x")["ARN"]
    with world.as_run() as worker:
        for call in _forbidden(world, worker, secret):
            refused(call)
    policies = world.policies(world.run_role())
    assert not allowed(policies, "kms:Decrypt", world.key, {"kms:ViaService": "ec2.us-east-1.amazonaws.com"})
    assert not allowed(policies, "kms:Decrypt", world.key, {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"})
    assert not allowed(policies, "kms:Decrypt", world.key), "the key is for S3 to use"
    assert not _ends(world, "i-1", "i-2"), "it ends no other machine"
    beyond = ("ec2:TerminateInstances", "ec2:RunInstances", "iam:PassRole", "sts:AssumeRole", "s3:PutBucketPolicy")
    for action in (*beyond, "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration", "kms:ScheduleKeyDeletion"):
        for resource in (
            "*",
            f"arn:aws:s3:::{world.artifacts}",
            f"arn:aws:s3:::{world.artifacts}/{RELEASE}",
            world.key,
        ):
            assert not allowed(policies, action, resource), (action, resource)


def a_run_reaches_its_own_folder_alone(world: World) -> None:
    owner = world.client("s3")
    others = ("runs/r2", "runs/r10", "runs/r", "runs/R1", "runs/r1.copy", "runs")
    inside = ("sft/checkpoints/40/manifest.json", "release/model.safetensors", "ledger/00000001-000000.jsonl")
    for folder in others:
        for name in inside:
            owner.put_object(Bucket=world.artifacts, Key=f"{folder}/{name}", Body=b"theirs")
    with world.as_run() as worker:
        s3 = worker.client("s3")
        for folder in others:
            for name in (*inside, "profile.json", "bound.json", "prices.json", "sft/artifact/manifest.json"):
                key = {"Bucket": world.artifacts, "Key": f"{folder}/{name}"}
                refused(lambda: s3.get_object(**key))  # noqa: B023 - called at once
                refused(lambda: s3.put_object(**key, Body=b"ours", IfNoneMatch="*"))  # noqa: B023
                refused(lambda: s3.delete_object(**key))  # noqa: B023
                refused(lambda: s3.put_object_tagging(**key, Tagging={"TagSet": []}))  # noqa: B023
    for folder in others:
        found = owner.get_object(Bucket=world.artifacts, Key=f"{folder}/{inside[1]}")
        assert found["Body"].read() == b"theirs"
    size = max(len("".join(policy.split())) for policy in world.policies(world.run_role()))
    assert size <= 6144, f"IAM takes no managed policy of {size} letters"


def a_run_writes_the_copy_of_its_own_base_alone(world: World) -> None:
    own, other = "bases/open--model/0123", "bases/open--model/4567"
    with world.as_run("of-a-base", base=own.removeprefix("bases/")) as worker:
        s3 = worker.client("s3")
        s3.put_object(Bucket=world.artifacts, Key=f"{own}/model.safetensors", Body=b"weights")
        s3.put_object(Bucket=world.artifacts, Key=f"{own}/manifest.json", Body=b"{}", IfNoneMatch="*")
        refused(lambda: s3.put_object(Bucket=world.artifacts, Key=f"{own}/manifest.json", Body=b"{ }"))
        for name in (own, f"{own}/model.safetensors", f"{own}/manifest.json"):
            refused(lambda: s3.delete_object(Bucket=world.artifacts, Key=name))  # noqa: B023 - called at once
        for name in (f"{other}/x", "bases/x", "bases//x", f"{own}x/x"):
            refused(lambda: s3.put_object(Bucket=world.artifacts, Key=name, Body=b"", IfNoneMatch="*"))  # noqa: B023
    # A launch that pinned no base, and a machine that is no run's, read the copies and write none.
    for role in (world.run_role(), world.names.worker):
        with world.acting_as(role) as machine:
            s3 = machine.client("s3")
            found = s3.get_object(Bucket=world.artifacts, Key=f"{own}/model.safetensors")
            assert found["Body"].read() == b"weights"
            for name in (f"{own}/y", "bases//y", "bases/${aws:PrincipalTag/cortex-base}/y"):
                refused(lambda: s3.put_object(Bucket=world.artifacts, Key=name, Body=b""))  # noqa: B023


def other_machines_read_and_write_no_run(world: World) -> None:
    of_service = f"{API_KEYS}/0123456789ab.json"
    for key in (RELEASE, of_service):
        world.client("s3").put_object(Bucket=world.artifacts, Key=key, Body=b"weights")
    with world.acting_as(world.names.worker) as machine:
        s3 = machine.client("s3")
        for key in (RELEASE, of_service):
            assert s3.get_object(Bucket=world.artifacts, Key=key)["Body"].read() == b"weights"
        machine.client("ecr").get_authorization_token()
        for key in (CHECKPOINT, RELEASE, of_service, "runs//x", "runs/${aws:PrincipalTag/cortex-run}/x"):
            refused(lambda: s3.put_object(Bucket=world.artifacts, Key=key, Body=b""))  # noqa: B023 - called at once
            refused(lambda: s3.delete_object(Bucket=world.artifacts, Key=key))  # noqa: B023
        refused(lambda: machine.client("iam").list_roles())


def a_role_that_is_no_runs_reaches_no_run(world: World) -> None:
    """A role without the tag, or with an empty tag, gets no run from the policy."""
    iam = world.client("iam")
    trust = iam.get_role(RoleName=world.run_role())["Role"]["AssumeRolePolicyDocument"]
    for name, tags in (("untagged", []), ("empty", [{"Key": RUN_TAG, "Value": ""}])):
        role = f"{name}-{world.names.region}"
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust), Tags=tags)
        iam.attach_role_policy(RoleName=role, PolicyArn=world.outputs.run_policy)
        with world.acting_as(role) as machine:
            s3 = machine.client("s3")
            for key in (CHECKPOINT, RELEASE, "runs/x"):
                refused(lambda: s3.get_object(Bucket=world.artifacts, Key=key))  # noqa: B023 - called at once
                refused(lambda: s3.put_object(Bucket=world.artifacts, Key=key, Body=b""))  # noqa: B023


def only_machines_take_the_role(world: World) -> None:
    for name in (world.run_role(), world.names.worker):
        found = world.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert [each["Principal"] for each in found] == [{"Service": "ec2.amazonaws.com"}], name
    role = world.client("iam").get_role(RoleName=world.names.worker)["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}
    profile = world.client("iam").get_instance_profile(InstanceProfileName=world.outputs.instance_profile)
    assert [found["RoleName"] for found in profile["InstanceProfile"]["Roles"]] == [world.names.worker]


def policies_are_sound(world: World) -> None:
    endpoint = world.endpoint()
    of_buckets = [
        world.client("s3").get_bucket_policy(Bucket=bucket)["Policy"] for bucket in (world.artifacts, world.data)
    ]
    names = (world.run_role(), world.names.worker, *([world.names.server] if world.config.server else []))
    roles = [policy for role in names for policy in world.policies(role)]
    # The linter does not know this variable, so it is given the value that IAM puts in its place.
    filled = [
        policy.replace(f"${{aws:PrincipalTag/{RUN_TAG}}}", "r1").replace(f"${{aws:PrincipalTag/{BASE_TAG}}}", "m/1")
        for policy in roles
    ]
    for policy in (*filled, *of_buckets, endpoint["PolicyDocument"]):
        faults = [f"{finding.issue} {finding.detail}" for finding in analyze_policy_string(policy).findings]
        assert [fault for fault in faults if not any(gap in fault for gap in LINTER_GAPS)] == []
    for policy in roles:
        for statement in json.loads(policy)["Statement"]:
            if statement["Effect"] == "Allow":
                assert not any("*" in action for action in statement["Action"]), statement
                assert "*" not in statement["Resource"] or set(statement["Action"]) <= EVERYWHERE, statement


def _ends(world: World, machine: str, other: str) -> bool:
    """True where one machine may end the other; both may be the same."""
    source, target = (f"arn:aws:ec2:{world.names.region}:123456789012:instance/{name}" for name in (machine, other))
    context = {"ec2:SourceInstanceARN": source, "ec2:InstanceID": other}
    return allowed(world.policies(world.run_role()), "ec2:TerminateInstances", target, context)


def _forbidden(world: World, worker: Worker, secret: str) -> Iterator[Callable[[], Any]]:
    s3, ecr = worker.client("s3"), worker.client("ecr")
    yield lambda: s3.get_object(Bucket="another-bucket", Key="runs/x")
    yield lambda: s3.put_object(Bucket="another-bucket", Key="runs/x", Body=b"")
    yield lambda: s3.get_object(Bucket=world.artifacts, Key="private/x")
    yield lambda: s3.put_object(Bucket=world.artifacts, Key="private/x", Body=b"")
    yield lambda: s3.put_object(Bucket=world.data, Key="prices.parquet", Body=b"")
    yield lambda: s3.delete_object(Bucket=world.artifacts, Key=RELEASE)
    yield lambda: s3.delete_object(Bucket=world.artifacts, Key=f"{RUN}/release/checkpoints/x")
    yield lambda: s3.put_object(Bucket=world.artifacts, Key=f"{RUN}/release/model.sig", Body=b"{}")
    for kept in ("release/sft/checkpoints/1/x", "sft/artifact/checkpoints/x", "ledger/sft/checkpoints/x"):
        yield lambda: s3.delete_object(Bucket=world.artifacts, Key=f"{RUN}/{kept}")  # noqa: B023 - called at once
    yield lambda: s3.delete_object(Bucket=world.artifacts, Key=f"{RUN}/ledger/1-1.jsonl")
    yield lambda: s3.delete_object(Bucket=world.data, Key="prices.parquet")
    yield lambda: s3.delete_bucket_policy(Bucket=world.artifacts)
    yield lambda: s3.put_bucket_versioning(Bucket=world.artifacts, VersioningConfiguration={"Status": "Suspended"})
    yield s3.list_buckets
    yield lambda: s3.list_objects_v2(Bucket="another-bucket")
    yield lambda: ecr.batch_get_image(repositoryName=f"{OTHERS}image", imageIds=[{"imageTag": "1"}])
    yield lambda: ecr.put_image(repositoryName=world.names.repository("sft"), imageManifest="{}")
    yield lambda: worker.client("secretsmanager").get_secret_value(SecretId=secret)
    yield lambda: worker.client("secretsmanager").list_secrets()
    yield lambda: worker.client("ec2").describe_images()
    yield lambda: worker.client("iam").list_roles()
