"""Policy for users who launch runs on an existing stack."""

from pydantic import JsonValue

from cortex.fleet.clouds.job_names import RUN_TAG
from infra.names import Names
from infra.policies import Statement, allow, document, use_key
from infra.server.policy import LOOKS

DOCUMENT = "AWS-StartPortForwardingSession"
"""Session Manager's document that forwards a port, and opens no shell."""


def launcher_policy(names: Names) -> str:
    """Policy of a laptop whose runs are started by SkyPilot's server: it cannot rent machines or give them a role.

    It allows to open a tunnel to the server; to create a role for each run, limited by the stack's policy for runs; to
    read and write the stack's buckets; to push images; and to find and end what runs have left behind.
    """
    return document(
        *_reach_server(names),
        *_end_leftovers(names),
        *_make_run_roles(names),
        *_use_buckets(names),
        *_push_images(names),
    )


def _reach_server(names: Names) -> list[Statement]:
    """A user may forward a port to the server, to send it launches, but may open no shell there."""
    return [
        allow(
            "ReachServer",
            ["ssm:StartSession"],
            [f"arn:aws:ec2:{names.region}:{names.account}:instance/*"],
            # Without the second condition, a session that names no document would be a shell on the server.
            {
                "StringEquals": {"ssm:resourceTag/Name": names.server},
                "Bool": {"ssm:SessionDocumentAccessCheck": "true"},
            },
        ),
        allow("ForwardPorts", ["ssm:StartSession"], [f"arn:aws:ssm:{names.region}::document/{DOCUMENT}"]),
    ]


def _end_leftovers(names: Names) -> list[Statement]:
    """A user may list the account's machines and end those of runs, so that a lost machine does not go on billing."""
    leftovers: list[JsonValue] = [
        f"arn:aws:ec2:{region}:{names.account}:{kind}/*"
        for region in names.regions
        for kind in ("instance", "volume", "elastic-ip")
    ]
    return [
        allow("Look", [*LOOKS, "ec2:DescribeAddresses", "iam:ListRoles"], ["*"]),
        allow(
            "EndLeftovers",
            ["ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:ReleaseAddress"],
            leftovers,
            {"Null": {f"aws:ResourceTag/{RUN_TAG}": "false"}},
        ),
    ]


def _make_run_roles(names: Names) -> list[Statement]:
    """A user may create and delete the roles of runs, each with the stack's policy for runs and no other rights."""
    iam = f"arn:aws:iam::{names.account}"
    policy, roles = f"{iam}:policy/{names.run}", f"{iam}:role/{names.run}-*"
    profiles = f"{iam}:instance-profile/{names.run}-*"
    return [
        allow("MakeRoles", ["iam:CreateRole"], [roles], {"ArnEquals": {"iam:PermissionsBoundary": policy}}),
        allow(
            "FillRoles",
            ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            [roles],
            {"ArnEquals": {"iam:PolicyARN": policy}},
        ),
        allow(
            "KeepRoles",
            ["iam:DeleteRole", "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:TagRole"],
            [roles],
        ),
        allow(
            "KeepProfiles",
            [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
            ],
            [profiles],
        ),
        # Only a caller that may pass a role can put it into an instance profile; its trust lets only EC2 assume it.
        allow("PassRoles", ["iam:PassRole"], [roles]),
    ]


def _use_buckets(names: Names) -> list[Statement]:
    """A user may read, write and delete objects of the stack's buckets: the inputs and results of runs."""
    buckets: list[JsonValue] = [f"arn:aws:s3:::{names.bucket(kind)}" for kind in ("artifacts", "data")]
    return [
        allow("FindObjects", ["s3:GetBucketLocation", "s3:ListBucket"], buckets),
        allow(
            "KeepObjects",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
                "s3:PutObjectTagging",
            ],
            [f"{bucket}/*" for bucket in buckets],
        ),
        use_key(f"arn:aws:kms:{names.region}:{names.account}:key/*", names.region),
    ]


def _push_images(names: Names) -> list[Statement]:
    """A user may push to the stack's repositories, from which the machines of runs pull their images."""
    return [
        allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            "PushImages",
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [f"arn:aws:ecr:{names.region}:{names.account}:repository/{names.prefix}/*"],
        ),
    ]
