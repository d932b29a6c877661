"""Rights of SkyPilot's server: start, tag and end a stack's machines, and give them the stack's roles."""

from collections.abc import Sequence

from pydantic import JsonValue

from infra.names import RUNS, Names
from infra.policies import Statement, allow, document, use_key
from infra.server.bundle import BUNDLES

CLUSTER_TAG = "skypilot-cluster-name"
"""SkyPilot's tag on each machine that it starts. The server itself does not have it, so it cannot end itself."""

SESSIONS = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
"""Rights of Session Manager's agent. AWS's own policy AmazonSSMManagedInstanceCore would also allow to read every
parameter of the account's Parameter Store, and to send commands to the machine."""

LOOKS = (
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotInstanceRequests",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
    "ec2:DescribeVolumes",
    "ec2:DescribeVpcs",
    "pricing:GetProducts",
    "servicequotas:GetServiceQuota",
)
"""Facts of an account that SkyPilot and the kit read; AWS cannot limit these rights to resources."""


def server_policy(*, names: Names, vpcs: Sequence[str], artifacts: str, data: str, key: str) -> str:
    """The policy of the server's role; all arguments except the names are ARNs.

    The server may start machines in these networks only, and only with the stack's tags; it may end machines that have
    the tags and were started by SkyPilot. It may give machines the stack's roles and no others. In the bucket it may
    read runs, and write to their ledgers and leases, so that its watcher can give up runs.
    """
    return document(
        allow("Sessions", SESSIONS, ["*"]),
        allow("Look", LOOKS, ["*"]),
        *_start_machines(names, vpcs),
        _keep_machines(names),
        *_give_roles(names),
        *_end_runs(artifacts, data),
        use_key(key, names.region),
    )


def _start_machines(names: Names, vpcs: Sequence[str]) -> list[Statement]:
    """The server may start machines with the stack's tags in these networks, since that is how it launches jobs."""
    return [
        allow(
            "StartTagged",
            ["ec2:RunInstances"],
            _every(names, "instance"),
            {"StringEquals": _stack_tags(names, "aws:RequestTag")},
        ),
        allow(
            "StartHere",
            ["ec2:RunInstances"],
            _every(names, "subnet", "security-group", "network-interface"),
            {"ArnEquals": {"ec2:Vpc": list(vpcs)}},
        ),
        allow(
            "StartWith",
            ["ec2:RunInstances"],
            [
                *(f"arn:aws:ec2:{region}::image/*" for region in names.regions),
                *_every(names, "volume", "placement-group", "spot-instances-request"),
            ],
        ),
        allow(
            "TagWhatIsStarted",
            ["ec2:CreateTags"],
            _every(names, "instance", "volume", "spot-instances-request"),
            {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
    ]


def _keep_machines(names: Names) -> Statement:
    """The server may stop, restart and end the machines that SkyPilot started for this stack, and no others."""
    return allow(
        "KeepMachines",
        ["ec2:CreateTags", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
        _every(names, "instance"),
        {
            "StringEquals": _stack_tags(names, "aws:ResourceTag"),
            "Null": {f"aws:ResourceTag/{CLUSTER_TAG}": "false"},
        },
    )


def _give_roles(names: Names) -> list[Statement]:
    """The server may give machines the roles of runs and of workers, which are all the rights that machines get."""
    iam, given = f"arn:aws:iam::{names.account}", (f"{names.run}-*", names.worker)
    roles: list[JsonValue] = [f"{iam}:role/{name}" for name in given]
    return [
        allow("GiveRoles", ["iam:PassRole"], roles, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        allow("FindRoles", ["iam:GetRole"], roles),
        allow("FindProfiles", ["iam:GetInstanceProfile"], [f"{iam}:instance-profile/{name}" for name in given]),
        # The role by which EC2 itself starts spot machines; an account has none before its first spot machine.
        allow(
            "UseSpot",
            ["iam:CreateServiceLinkedRole"],
            [f"{iam}:role/aws-service-role/spot.amazonaws.com/*"],
            {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        ),
    ]


def _end_runs(artifacts: str, data: str) -> list[Statement]:
    """The server may read runs and its software, and write ledgers and leases, so that its watcher can give up runs."""
    return [
        allow("FindObjects", ["s3:ListBucket"], [artifacts]),
        allow("ReadRuns", ["s3:GetObject"], [f"{artifacts}/{RUNS}/*", f"{data}/{BUNDLES}/*"]),
        allow("EndRuns", ["s3:PutObject"], [f"{artifacts}/{RUNS}/*/{kind}/*" for kind in ("ledger", "lease")]),
    ]


def _every(names: Names, *kinds: str) -> list[JsonValue]:
    """The ARN patterns of all the account's resources of these kinds, in each of the stack's regions."""
    return [f"arn:aws:ec2:{region}:{names.account}:{kind}/*" for region in names.regions for kind in kinds]


def _stack_tags(names: Names, key: str) -> dict[str, JsonValue]:
    """The tags that mark a stack's machines, as a condition on this key, such as `aws:RequestTag`."""
    return {f"{key}/{name}": names.tags[name] for name in ("project", "stack")}
