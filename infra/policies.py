"""Rights of machines and rules of buckets, as policy documents: plain functions of names, readable without a cloud."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pydantic import JsonValue

from cortex.artifacts.names import BASES, KEPT_FOLDERS, SIGNATURE
from infra.names import OWN_BASE, OWN_RUN, RUNS

Statement: TypeAlias = dict[str, JsonValue]

Condition: TypeAlias = Mapping[str, Mapping[str, JsonValue]]
"""By operator and key, the value that is asked for, or a list of which any will do."""

TAGGING: list[JsonValue] = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:ReplicateTags"]
"""Every way to give an object a tag; a tag that is sent along with an object's bytes asks for the first, too."""


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
    """A statement that allows the use of the stack's key, an ARN, through S3 alone."""
    through = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    return allow("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], [key], through)


def bucket_policy(
    bucket: str,
    key: str,
    create_only: Sequence[str] = (),
    tagged: Sequence[str] = (),
    untagged: Sequence[str] = (),
) -> str:
    """For everybody: TLS 1.2 or newer only, objects encrypted under our key only, some names written only once.

    `bucket` and `key` are ARNs, the others patterns of names: `create_only` nobody may overwrite; where `tagged` is
    given, nothing else may be tagged, and of that not what `untagged` matches, because a lifecycle rule deletes by tag.
    """
    everywhere: list[JsonValue] = [bucket, f"{bucket}/*"]
    statements = [
        _deny("TlsOnly", "s3:*", everywhere, {"Bool": {"aws:SecureTransport": "false"}}),
        _deny("ModernTlsOnly", "s3:*", everywhere, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        # A write that names no encryption gets the bucket's own. `Null` lets it pass: a negated operator alone also
        # holds where the header is absent.
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
        # The parts of a multipart upload cannot carry the header, and are not what creates the object.
        when: JsonValue = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
        statements.append(_deny("CreateOnly", "s3:PutObject", names, when))
        # What is deleted can be created anew. By their version, its owner still can: that empties the bucket.
        statements.append(_deny("KeepOnly", "s3:DeleteObject", names))
    if tagged:
        # A `*` in a pattern takes slashes, too: what the first statement lets pass, the second looks at again.
        statements += [
            _deny("TagNothingElse", TAGGING, _objects(bucket, tagged), besides=True),
            _deny("TagNothingKept", TAGGING, _objects(bucket, untagged)),
        ]
    return document(*statements)


def key_policy(account: str) -> str:
    """The account's own IAM policies decide about the key, and nobody outside it."""
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
    """Through the S3 endpoint: read from anywhere (packages, weights), write only into this account's buckets."""
    return document(
        {"Sid": "Reach", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"},
        _deny("NoWritesElsewhere", "s3:Put*", "*", {"StringNotEquals": {"aws:ResourceAccount": account}}),
    )


def instance_trust() -> str:
    """Only EC2 gives the role out, to the machines that carry its profile."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
    )


def run_policy(*, artifacts: str, data: str, key: str, repositories: Sequence[str], regions: Sequence[str]) -> str:
    """What a training machine may do, as the role of its run, which is tagged with it; all but the regions are ARNs.

    Its own run: read and write; prune checkpoints, and delete nothing else. Another run: nothing, but for the names of
    its objects. Base models: read; write the copy of its own. Data: read. Images: pull ours. Key: only through
    S3. Secrets: none; a launch hands each task its own.
    EC2: end itself when it is idle, and no other machine. Buckets and key are in the first of `regions`.
    """
    own = f"{artifacts}/{OWN_RUN}"
    statements: list[Statement] = [
        # No condition on the prefix: without this, S3 answers 403 and not 404 for an object that does not exist.
        allow("FindObjects", ["s3:ListBucket"], [artifacts, data]),
        allow("ReadInputs", ["s3:GetObject"], [f"{own}/*", f"{artifacts}/{BASES}/*", f"{data}/*"]),
        # A base's copy is checked against the run's own pin wherever it is read: this right spoils no other run.
        allow(
            "WriteRun",
            ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
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
            # A run's operator signs its release, from elsewhere; its machine could not forge, but spoil the signature.
            "Sid": "OperatorsSign",
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": f"{own}/release/{SIGNATURE}",
        },
        *_of_a_machine(key=key, repositories=repositories, regions=regions),
    ]
    return document(*statements)


def worker_policy(*, artifacts: str, data: str, key: str, repositories: Sequence[str], regions: Sequence[str]) -> str:
    """What a machine may do that is no run's, such as a workbench: as a run's, but read all runs, and write none."""
    return document(
        allow("FindObjects", ["s3:ListBucket"], [artifacts, data]),
        allow("ReadInputs", ["s3:GetObject"], [f"{artifacts}/{RUNS}/*", f"{artifacts}/{BASES}/*", f"{data}/*"]),
        *_of_a_machine(key=key, repositories=repositories, regions=regions),
    )


def _of_a_machine(*, key: str, repositories: Sequence[str], regions: Sequence[str]) -> list[Statement]:
    """What every machine may do, whatever it is for."""
    instances = [f"arn:aws:ec2:{region}:*:instance/" for region in regions]
    return [
        use_key(key, regions[0]),
        allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            "PullImages",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            repositories,
        ),
        # SkyPilot's autostop runs on the machine, as this role: it looks itself up, and ends itself.
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
    """Refuse it to everybody; with `besides`, for all but the named resources."""
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
