"""Policy for users who create, change and destroy a stack."""

from pydantic import JsonValue

from infra.names import Names
from infra.policies import Condition, allow, document
from infra.server.image import IMAGE


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
