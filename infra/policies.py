"""Policies of machines and buckets: pure functions from names to policy documents."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pydantic import JsonValue

from cortex.artifacts.file_names import BASES, KEPT_FOLDERS, SIGNATURE, TINKER
from infra.names import OWN_BASE, OWN_RUN, RUNS

Statement: TypeAlias = dict[str, JsonValue]

Condition: TypeAlias = Mapping[str, Mapping[str, JsonValue]]
"""Required values by operator and key; of a list, any value will do."""

API_KEYS = "serving/keys"
"""The folder of a bucket with the hashes of a service's API keys."""

TAGGING: list[JsonValue] = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:ReplicateTags"]
"""All actions that tag an object; a tag that is sent with an object's bytes also needs the first."""


def document(*statements: Statement) -> str:
    """A policy document as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[JsonValue],
    condition: Condition | None = None,
) -> Statement:
    """A statement that allows the actions, under a condition if one is given."""
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return (
        {**statement, "Condition": {name: dict(keys) for name, keys in condition.items()}} if condition else statement
    )


def use_key(key: str, region: str) -> Statement:
    """A statement that allows the use of the stack's key (an ARN), but only through S3."""
    through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    return allow("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], [key], through)


def bucket_policy(
    bucket: str,
    key: str,
    create_only: Sequence[str] = (),
    tagged: Sequence[str] = (),
    untagged: Sequence[str] = (),
) -> str:
    """Policy of a bucket for everybody: only TLS 1.2 or newer, only objects encrypted under the stack's key, and some
    names written only once.

    `bucket` and `key` are ARNs, the others patterns of names. Nobody may overwrite or delete `create_only`. Where
    `tagged` is given, only matching objects may be tagged, and of these not what `untagged` matches, because a
    lifecycle rule deletes by tag.
    """
    everywhere: list[JsonValue] = [bucket, f"{bucket}/*"]
    statements = [
        _deny("TlsOnly", "s3:*", everywhere, {"Bool": {"aws:SecureTransport": "false"}}),
        _deny("ModernTlsOnly", "s3:*", everywhere, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        # A write that names no encryption gets the bucket's default. `Null` exempts it: a negated operator alone also
        # matches where the header is absent.
        _deny(
            "OurEncryptionOnly",
            "s3:PutObject",
            f"{bucket}/*",
            {
                "Null": {"s3:x-amz-server-side-encryption": "false"},
                "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
            },
        ),
        _deny(
            "OurKeyOnly",
            "s3:PutObject",
            f"{bucket}/*",
            {
                "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
                "ArnNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key},
            },
        ),
    ]
    if create_only:
        names = _objects(bucket, create_only)
        # Parts of a multipart upload cannot have the header, and do not create the object.
        when: JsonValue = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
        statements.append(_deny("CreateOnly", "s3:PutObject", names, when))
        # A deleted object could be created again. Its owner can still delete by version, which empties the bucket.
        statements.append(_deny("KeepOnly", "s3:DeleteObject", names))
    if tagged:
        # `*` in a pattern also matches slashes, so the first statement allows too much, which the second denies again.
        statements += [
            _deny("TagNothingElse", TAGGING, _objects(bucket, tagged), besides=True),
            _deny("TagNothingKept", TAGGING, _objects(bucket, untagged)),
        ]
    return document(*statements)


def key_policy(account: str) -> str:
    """Policy of the key: the account's IAM policies alone decide about its use."""
    return document(
        {
            "Sid": "AccountDecides",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    )


def endpoint_policy(account: str) -> str:
    """Policy of the S3 endpoint: reads from any bucket (packages, weights), writes only to this account's buckets."""
    return document(
        {"Sid": "Reach", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"},
        _deny("NoWritesElsewhere", "s3:Put*", "*", {"StringNotEquals": {"aws:ResourceAccount": account}}),
    )


_WRITE = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]


def instance_trust() -> str:
    """Trust policy: only EC2 may assume the role, for machines that have its instance profile."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )


def run_policy(*, artifacts: str, data: str, key: str, repositories: Sequence[str], regions: Sequence[str]) -> str:
    """Policy of a training machine by its run's role, which has the run's id as a tag. All arguments except the regions
    are ARNs.

    - Its own run: read and write; delete only checkpoints. Other runs: only list the names of their objects.
    - Base models: read all, write the copy of its own base. Data: read. Images: pull the stack's.
    - Key: use through S3 only. Secrets: none; a launch gives each task its own.
    - EC2: end itself when it is idle, but no other machine.

    Buckets and key are in the first of `regions`.
    """
    own = f"{artifacts}/{OWN_RUN}"
    statements: list[Statement] = [
        # No condition on the prefix: S3 answers 404 for a missing object only with this right, and 403 otherwise.
        allow("FindObjects", ["s3:ListBucket"], [artifacts, data]),
        allow("ReadInputs", ["s3:GetObject"], [f"{own}/*", f"{artifacts}/{BASES}/*", f"{data}/*"]),
        # Every reader checks a base's copy against its run's own pin, so this right cannot spoil another run.
        allow(
            "WriteRun",
            _WRITE,
            [f"{own}/*", f"{artifacts}/{OWN_BASE}/*"],
        ),
        allow("PruneCheckpoints", ["s3:DeleteObject", "s3:PutObjectTagging"], [f"{own}/*/checkpoints/*"]),
        {
            "Sid": "ReleasesStay",
            "Effect": "Deny",
            "Action": "s3:DeleteObject",
            "Resource": [f"{own}/{pattern}" for folder in KEPT_FOLDERS for pattern in (f"{folder}/*", f"*/{folder}/*")],
        },
        {
            # The user signs a release on another machine; the run's machine could not forge it, but could spoil it.
            "Sid": "OperatorsSign",
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": f"{own}/release/{SIGNATURE}",
        },
        *_of_a_machine(key=key, repositories=repositories, regions=regions),
    ]
    return document(*statements)


def worker_policy(*, artifacts: str, data: str, key: str, repositories: Sequence[str], regions: Sequence[str]) -> str:
    """Policy of a machine that belongs to no run, such as a workbench or a service's replica: as a run's, but it may
    read all runs, and the hashes of API keys, and write none. It writes the checkpoints of Tinker's clients alone."""
    read = [f"{artifacts}/{folder}/*" for folder in (RUNS, BASES, API_KEYS, TINKER)]
    return document(
        allow("FindObjects", ["s3:ListBucket"], [artifacts, data]),
        allow("ReadInputs", ["s3:GetObject"], [*read, f"{data}/*"]),
        allow("KeepCheckpoints", _WRITE, [f"{artifacts}/{TINKER}/*"]),
        *_of_a_machine(key=key, repositories=repositories, regions=regions),
    )


def _of_a_machine(*, key: str, repositories: Sequence[str], regions: Sequence[str]) -> list[Statement]:
    """Statements for every machine: use the key, pull images, end itself."""
    instances = [f"arn:aws:ec2:{region}:*:instance/" for region in regions]
    return [
        use_key(key, regions[0]),
        allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            "PullImages",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            repositories,
        ),
        # SkyPilot's autostop runs on the machine with this role: it looks the machine up, and ends it.
        allow("FindItself", ["ec2:DescribeInstances", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"], ["*"]),
        allow(
            "EndItself",
            ["ec2:TerminateInstances"],
            [f"{instance}*" for instance in instances],
            {"ArnEquals": {"ec2:SourceInstanceARN": [f"{instance}${{ec2:InstanceID}}" for instance in instances]}},
        ),
    ]


def _deny(
    sid: str, action: JsonValue, resource: JsonValue, condition: JsonValue = None, *, besides: bool = False
) -> Statement:
    """A statement that denies an action to everybody; with `besides`, on all resources except the named ones."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "NotResource" if besides else "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def _objects(bucket: str, names: Sequence[str]) -> list[JsonValue]:
    return [f"{bucket}/{name}" for name in names]
