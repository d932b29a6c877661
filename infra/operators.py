"""Policies for users: one to create a stack, one to launch runs on an existing one. `make infra-policy` writes both."""

from pydantic import JsonValue

from cortex.fleet.clouds.job_names import RUN_TAG
from infra.names import Names
from infra.policies import Condition, allow, document, use_key
from infra.server.image import IMAGE
from infra.server.policy import LOOKS

DOCUMENT = "AWS-StartPortForwardingSession"
"""Session Manager's document that forwards a port, and opens no shell."""


def launcher_policy(names: Names) -> str:
    """Policy of a laptop whose runs are started by SkyPilot's server: it cannot rent machines or give them a role.

    It allows to open a tunnel to the server; to create a role for each run, limited by the stack's policy for runs; to
    read and write the stack's buckets; to push images; and to find and end what runs have left behind.
    """
    iam, ec2 = f"arn:aws:iam::{names.account}", f"arn:aws:ec2:{names.region}:{names.account}"
    policy, roles = f"{iam}:policy/{names.run}", f"{iam}:role/{names.run}-*"
    profiles = f"{iam}:instance-profile/{names.run}-*"
    buckets: list[JsonValue] = [f"arn:aws:s3:::{names.bucket(kind)}" for kind in ("artifacts", "data")]
    leftovers: list[JsonValue] = [
        f"arn:aws:ec2:{region}:{names.account}:{kind}/*"
        for region in names.regions
        for kind in ("instance", "volume", "elastic-ip")
    ]
    return document(
        allow(
            "ReachServer",
            ["ssm:StartSession"],
            [f"{ec2}:instance/*"],
            # Without the second condition, a session that names no document would be a shell on the server.
            {
                "StringEquals": {"ssm:resourceTag/Name": names.server},
                "Bool": {"ssm:SessionDocumentAccessCheck": "true"},
            },
        ),
        allow("ForwardPorts", ["ssm:StartSession"], [f"arn:aws:ssm:{names.region}::document/{DOCUMENT}"]),
        allow("Look", [*LOOKS, "ec2:DescribeAddresses", "iam:ListRoles"], ["*"]),
        allow(
            "EndLeftovers",
            ["ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:ReleaseAddress"],
            leftovers,
            {"Null": {f"aws:ResourceTag/{RUN_TAG}": "false"}},
        ),
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
    )


def raiser_policy(names: Names) -> str:
    """Policy that Pulumi needs to create, change and destroy a stack, limited by account, region and names.

    Networks have no names before they exist, so that part is limited by regions alone. A user with these rights can
    give the stack's roles any right, and so is an administrator of the stack.
    """
    account, region = names.account, names.region
    iam, ssm = f"arn:aws:iam::{account}", f"arn:aws:ssm:{region}::parameter"
    named: list[JsonValue] = [f"{iam}:{kind}/{names.prefix}-*" for kind in ("role", "policy", "instance-profile")]
    buckets: list[JsonValue] = [f"arn:aws:s3:::{names.prefix}-*-{account}-{region}{rest}" for rest in ("", "/*")]
    here: Condition = {"StringEquals": {"aws:RequestedRegion": region}}
    # Of all resources, only networks are in further regions, too.
    anywhere: Condition = {"StringEquals": {"aws:RequestedRegion": list(names.regions)}}
    return document(
        allow("WhoAmI", ["sts:GetCallerIdentity"], ["*"]),
        allow("Networks", NETWORKS, ["*"], anywhere),
        allow("Roles", ROLES, named),
        allow("PassRoles", ["iam:PassRole"], [f"{iam}:role/{name}" for name in (names.server, names.worker)]),
        allow("Buckets", ["s3:*"], buckets),
        allow("MakeKeys", ["kms:CreateKey", "kms:ListAliases"], ["*"], here),
        allow("Keys", KEYS, [f"arn:aws:kms:{region}:{account}:{kind}/*" for kind in ("key", "alias")]),
        allow("Repositories", ["ecr:*"], [f"arn:aws:ecr:{region}:{account}:repository/{names.prefix}/*"]),
        allow("Budget", BUDGETS, [f"arn:aws:budgets::{account}:budget/{names.prefix}"]),
        allow("ServersImage", ["ssm:GetParameter"], [f"{ssm}{IMAGE}"]),
    )


NETWORKS = (
    "ec2:AllocateAddress",
    "ec2:AssociateAddress",
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateInternetGateway",
    "ec2:CreateNetworkInterface",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:CreateVpcEndpoint",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteTags",
    "ec2:DeleteVpc",
    "ec2:DeleteVpcEndpoints",
    "ec2:Describe*",
    "ec2:DetachInternetGateway",
    "ec2:DetachNetworkInterface",
    "ec2:DisassociateAddress",
    "ec2:DisassociateRouteTable",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifyInstanceCreditSpecification",
    "ec2:ModifyInstanceMetadataOptions",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:ModifySecurityGroupRules",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ec2:ModifyVpcEndpoint",
    "ec2:ReleaseAddress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:RunInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
    "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
)

ROLES = (
    "iam:AddRoleToInstanceProfile",
    "iam:AttachRolePolicy",
    "iam:CreateInstanceProfile",
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:DeleteInstanceProfile",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:GetInstanceProfile",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListInstanceProfilesForRole",
    "iam:ListPolicyVersions",
    "iam:ListRolePolicies",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:TagPolicy",
    "iam:TagRole",
    "iam:UntagInstanceProfile",
    "iam:UntagPolicy",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRoleDescription",
)

KEYS = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:EnableKeyRotation",
    "kms:GenerateDataKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)

BUDGETS = (
    "budgets:ListTagsForResource",
    "budgets:ModifyBudget",
    "budgets:TagResource",
    "budgets:UntagResource",
    "budgets:ViewBudget",
)
