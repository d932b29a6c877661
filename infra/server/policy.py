"""Rights of SkyPilot's server: start, tag and end a stack's machines, and give them the stack's roles."""

from collections.abc import Sequence

from pydantic import JsonValue

from infra.names import RUNS, Names
from infra.policies import Condition, allow, document, use_key
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
    roles: list[JsonValue] = [f"arn:aws:iam::{names.account}:role/{name}" for name in (f"{names.run}-*", names.worker)]
    profiles: list[JsonValue] = [
        f"arn:aws:iam::{names.account}:instance-profile/{name}" for name in (f"{names.run}-*", names.worker)
    ]

    def of(*kinds: str) -> list[JsonValue]:
        """Every resource of these kinds, in each region."""
        return [f"arn:aws:ec2:{region}:{names.account}:{kind}/*" for region in names.regions for kind in kinds]

    ours = {"project": names.tags["project"], "stack": names.tags["stack"]}
    on_request: Condition = {"StringEquals": {f"aws:RequestTag/{name}": value for name, value in ours.items()}}
    on_machine: Condition = {
        "StringEquals": {f"aws:ResourceTag/{name}": value for name, value in ours.items()},
        "Null": {f"aws:ResourceTag/{CLUSTER_TAG}": "false"},
    }
    return document(
        allow("Sessions", SESSIONS, ["*"]),
        allow("Look", LOOKS, ["*"]),
        allow("StartTagged", ["ec2:RunInstances"], of("instance"), on_request),
        allow(
            "StartHere",
            ["ec2:RunInstances"],
            of("subnet", "security-group", "network-interface"),
            {"ArnEquals": {"ec2:Vpc": list(vpcs)}},
        ),
        allow(
            "StartWith",
            ["ec2:RunInstances"],
            [
                *(f"arn:aws:ec2:{region}::image/*" for region in names.regions),
                *of("volume", "placement-group", "spot-instances-request"),
            ],
        ),
        allow(
            "TagWhatIsStarted",
            ["ec2:CreateTags"],
            of("instance", "volume", "spot-instances-request"),
            {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        ),
        allow(
            "KeepMachines",
            ["ec2:CreateTags", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"],
            of("instance"),
            on_machine,
        ),
        allow("GiveRoles", ["iam:PassRole"], roles, {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        allow("FindRoles", ["iam:GetRole"], roles),
        allow("FindProfiles", ["iam:GetInstanceProfile"], profiles),
        allow(
            "UseSpot",
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::{names.account}:role/aws-service-role/spot.amazonaws.com/*"],
            {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        ),
        allow("FindObjects", ["s3:ListBucket"], [artifacts]),
        allow("ReadRuns", ["s3:GetObject"], [f"{artifacts}/{RUNS}/*", f"{data}/{BUNDLES}/*"]),
        allow("EndRuns", ["s3:PutObject"], [f"{artifacts}/{RUNS}/*/{kind}/*" for kind in ("ledger", "lease")]),
        use_key(key, names.region),
    )
