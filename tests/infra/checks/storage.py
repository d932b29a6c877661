"""Buckets and the key: nobody else reads, nothing is lost, nothing stays for ever that should not."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cortex.artifacts.file_names import CHECKPOINT_TAG
from tests.infra.checks.calls import CHECKPOINT, RELEASE, RUN, refused
from tests.infra.emulation.authorization import denied
from tests.infra.world import World


def buckets_are_private(world: World) -> None:
    for bucket in (world.artifacts, world.data):
        s3 = world.client("s3")
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert len(block) == 4 and all(block.values()), (bucket, block)
        rules = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def buckets_keep_versions(world: World) -> None:
    for bucket in (world.artifacts, world.data):
        assert world.client("s3").get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled", bucket


def objects_are_encrypted_under_our_key(world: World) -> None:
    s3 = world.client("s3")
    for bucket in (world.artifacts, world.data):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["BucketKeyEnabled"], "without a bucket key, every object costs a call to KMS"
        s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
        found = s3.head_object(Bucket=bucket, Key="plain")
        assert (found["ServerSideEncryption"], found.get("SSEKMSKeyId")) == ("aws:kms", world.key)


def key_is_ours_and_rotates(world: World) -> None:
    kms = world.client("kms")
    assert kms.get_key_rotation_status(KeyId=world.key)["KeyRotationEnabled"]
    policy = json.loads(kms.get_key_policy(KeyId=world.key, PolicyName="default")["Policy"])
    principals = [statement["Principal"] for statement in policy["Statement"]]
    assert principals == [{"AWS": f"arn:aws:iam::{world.names.account}:root"}]


def other_encryption_is_refused(world: World) -> None:
    other, ours = world.client("kms").create_key()["KeyMetadata"]["Arn"], world.key
    with world.as_run() as worker:
        s3 = worker.client("s3")
        put = {"Bucket": world.artifacts, "Key": CHECKPOINT, "Body": b"x"}
        s3.put_object(**put)
        s3.put_object(**put, ServerSideEncryption="aws:kms", SSEKMSKeyId=ours)
        refused(lambda: s3.put_object(**put, ServerSideEncryption="aws:kms", SSEKMSKeyId=other))
        refused(lambda: s3.put_object(**put, ServerSideEncryption="AES256"))


def plain_http_is_refused(world: World) -> None:
    world.client("s3").put_object(Bucket=world.artifacts, Key=CHECKPOINT, Body=b"x")
    world.client("s3").put_object(Bucket=world.data, Key="prices.parquet", Body=b"x")
    with world.as_run() as worker:
        for bucket, key in ((world.artifacts, CHECKPOINT), (world.data, "prices.parquet")):
            worker.client("s3").get_object(Bucket=bucket, Key=key)
            plain = worker.client("s3", endpoint_url=f"http://s3.{world.names.region}.amazonaws.com")
            refused(lambda: plain.get_object(Bucket=bucket, Key=key))  # noqa: B023 - called at once
    for bucket in (world.artifacts, world.data):
        policy = [world.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]]
        for version, expected in (("1.1", True), ("1.2", False), ("1.3", False)):
            secure = {"aws:SecureTransport": "true", "s3:TlsVersion": version}
            assert denied(policy, "s3:GetObject", f"arn:aws:s3:::{bucket}/x", secure) is expected, version


THIRD = "runs/r3"
ONCE = (
    f"{THIRD}/profile.json",
    f"{THIRD}/bound.json",
    f"{THIRD}/base.json",
    f"{THIRD}/lease/00000001",
    f"{THIRD}/ledger/00000001-000000.jsonl",
    f"{THIRD}/sft/artifact/manifest.json",
    f"{THIRD}/release/manifest.json",
)


def what_decides_a_run_is_written_once_and_stays(world: World) -> None:
    with world.as_run(THIRD.removeprefix("runs/")) as worker:
        s3 = worker.client("s3")
        for name in ONCE:
            put = {"Bucket": world.artifacts, "Key": name, "Body": b"{}"}
            refused(lambda: s3.put_object(**put))  # noqa: B023 - called at once
            s3.put_object(**put, IfNoneMatch="*")
            with pytest.raises(ClientError, match="PreconditionFailed"):
                s3.put_object(**put, IfNoneMatch="*")
            refused(lambda: s3.delete_object(Bucket=world.artifacts, Key=name))  # noqa: B023 - called at once
    policy = [world.client("s3").get_bucket_policy(Bucket=world.artifacts)["Policy"]]
    secure = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    part = {**secure, "s3:ObjectCreationOperation": "false"}
    for name in ONCE:
        resource = f"arn:aws:s3:::{world.artifacts}/{name}"
        assert not denied(policy, "s3:PutObject", resource, part), "parts have no header"
        assert denied(policy, "s3:DeleteObject", resource, secure), "not even its owner deletes it"
    pruned = f"arn:aws:s3:::{world.artifacts}/{THIRD}/sft/checkpoints/40/manifest.json"
    assert not denied(policy, "s3:DeleteObject", pruned, secure)


BASE = "bases/open--model/0123/model.safetensors"

OTHER = "runs/r2"
NO_CHECKPOINTS = (
    f"{OTHER}/release/model.safetensors",
    f"{OTHER}/release/checkpoints/1/model.safetensors",
    f"{OTHER}/release/model/checkpoints/model.safetensors",
    f"{OTHER}/release/sft/checkpoints/1/model.safetensors",
    f"{OTHER}/sft/artifact/checkpoints/model.safetensors",
    f"{OTHER}/ledger/sft/checkpoints/1.jsonl",
    f"{OTHER}/lease/00000001",
    f"{OTHER}/profile.json",
    "runs/release/model.safetensors",
    BASE,
)


def nothing_but_checkpoints_is_tagged(world: World) -> None:
    key, value = CHECKPOINT_TAG
    tags = {"TagSet": [{"Key": key, "Value": value}]}
    owner = world.client("s3")
    own = f"{OTHER}/sft/checkpoints/40/model.safetensors"
    for name in (own, *NO_CHECKPOINTS):
        owner.put_object(Bucket=world.artifacts, Key=name, Body=b"x")
    with world.as_run(OTHER.removeprefix("runs/")) as worker:
        s3 = worker.client("s3")
        s3.put_object_tagging(Bucket=world.artifacts, Key=own, Tagging=tags)
        for name in NO_CHECKPOINTS:
            put = {"Bucket": world.artifacts, "Key": name}
            refused(lambda: s3.put_object_tagging(**put, Tagging=tags))  # noqa: B023 - called at once
            refused(lambda: s3.put_object(**put, Body=b"x", Tagging=f"{key}={value}", IfNoneMatch="*"))  # noqa: B023
    policy = [owner.get_bucket_policy(Bucket=world.artifacts)["Policy"]]
    secure = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
    for action in ("s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:ReplicateTags"):
        assert not denied(policy, action, f"arn:aws:s3:::{world.artifacts}/{own}", secure)
        for name in NO_CHECKPOINTS:
            assert denied(policy, action, f"arn:aws:s3:::{world.artifacts}/{name}", secure), (action, name)


def checkpoints_go_and_releases_stay(world: World) -> None:
    rules = _lifecycle(world, world.artifacts)
    key, value = CHECKPOINT_TAG
    checkpoint: dict[str, str] = {key: value}
    assert _days(rules, CHECKPOINT, checkpoint, "Expiration") == world.config.checkpoint_days
    assert _days(rules, CHECKPOINT, checkpoint, "NoncurrentVersionExpiration") is not None
    assert _days(rules, BASE, {}, "Expiration") is None
    assert _days(rules, BASE, {}, "NoncurrentVersionExpiration") is not None, "a second copy is a hundred GB"
    for key in (RELEASE, f"{RUN}/ledger/1-1.jsonl", f"{RUN}/sft/artifact/manifest.json", f"{RUN}/profile.json"):
        assert _days(rules, key, {}, "Expiration") is None, key
        assert _days(rules, key, {}, "NoncurrentVersionExpiration") is None, key


def old_versions_of_data_go(world: World) -> None:
    rules = _lifecycle(world, world.data)
    assert _days(rules, "prices.parquet", {}, "Expiration") is None
    assert _days(rules, "prices.parquet", {}, "NoncurrentVersionExpiration") is not None


def unfinished_uploads_go(world: World) -> None:
    for bucket in (world.artifacts, world.data):
        days = [
            rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            for rule in _lifecycle(world, bucket)
            if "AbortIncompleteMultipartUpload" in rule and _covers(rule, RELEASE, {})
        ]
        assert days and min(days) <= 7, bucket


def _lifecycle(world: World, bucket: str) -> list[dict[str, Any]]:
    return world.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]


def _covers(rule: dict[str, Any], key: str, tags: dict[str, str]) -> bool:
    chosen = rule["Filter"]
    tag = chosen.get("Tag")
    return (
        rule["Status"] == "Enabled"
        and key.startswith(chosen.get("Prefix", ""))
        and (tag is None or tags.get(tag["Key"]) == tag["Value"])
    )


def _days(rules: list[dict[str, Any]], key: str, tags: dict[str, str], action: str) -> int | None:
    """Days after which the rules remove an object's current, or superseded, version."""
    found = [rule.get(action, {}) for rule in rules if _covers(rule, key, tags)]
    days = [action["Days"] if "Days" in action else action.get("NoncurrentDays") for action in found]
    return min((number for number in days if number is not None), default=None)
